"""DFL-H128: Faceswap's layout at twice the size with a narrow code (docs/architectures.md, Architectures).

128x128x3 -> encoder C128 64x64, C256 32x32, C512 16x16, C1024 8x8, D512, D32768 as 8x8x512, U512 16x16x512
-> decoder U512 32x32, U256 64x64, U128 128x128, O -> 128x128x3.
107,716,102 parameters and 15.447 G multiply-adds per face at width 1.
"""

from torch import nn

from generators.models.blocks import UO, C, D, Flatten, TwoDecoders, U, Unflatten, chain


class Model(TwoDecoders):
    """The DFL-H128 autoencoder."""

    input_size = 128
    output_size = 128

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(width)
        c1, c2, c3, c4, dense, code, up = self.scaled(128, 256, 512, 1024, 512, 512, 512)
        self.encoder = nn.Sequential(
            *chain(C, 3, c1, c2, c3, c4),
            Flatten(),
            D(8 * 8 * c4, dense),
            D(dense, 8 * 8 * code),
            Unflatten(8),
            U(code, up),
        )
        self.decoder_a, self.decoder_b = self._decoder(up), self._decoder(up)

    def _decoder(self, code: int) -> nn.Module:
        u1, u2, u3 = self.scaled(512, 256, 128)
        return nn.Sequential(*chain(U, code, u1, u2), UO(u2, u3))
