"""Lightweight: a smaller encoder with a narrow code, wide decoders (docs/architectures.md, Architectures).

64x64x3 -> encoder C128 32x32, C256 16x16, C512 8x8, D512, D8192 as 4x4x512, U256 8x8x256
-> decoder U512 16x16, U256 32x32, U128 64x64, O -> 64x64x3.
51,066,374 parameters and 3.283 G multiply-adds per face at width 1.
"""

from torch import nn

from generators.models.blocks import UO, C, D, Flatten, TwoDecoders, U, Unflatten, chain


class Model(TwoDecoders):
    """The Lightweight autoencoder."""

    input_size = 64
    output_size = 64

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(width)
        c1, c2, c3, dense, code, up = self.scaled(128, 256, 512, 512, 512, 256)
        self.encoder = nn.Sequential(
            *chain(C, 3, c1, c2, c3),
            Flatten(),
            D(8 * 8 * c3, dense),
            D(dense, 4 * 4 * code),
            Unflatten(4),
            U(code, up),
        )
        self.decoder_a, self.decoder_b = self._decoder(up), self._decoder(up)

    def _decoder(self, code: int) -> nn.Module:
        u1, u2, u3 = self.scaled(512, 256, 128)
        return nn.Sequential(*chain(U, code, u1, u2), UO(u2, u3))
