"""Faceswap, the original layout: dense encoder, two plain decoders (docs/architectures.md, Architectures).

64x64x3 -> encoder C128 32x32, C256 16x16, C512 8x8, C1024 4x4, D1024, D16384 as 4x4x1024, U512 8x8x512
-> decoder U256 16x16, U128 32x32, U64 64x64, O -> 64x64x3.
82,062,470 parameters and 1.900 G multiply-adds per face at width 1.
"""

from torch import nn

from generators.models.blocks import UO, C, D, Flatten, TwoDecoders, U, Unflatten, chain


class Model(TwoDecoders):
    """The Faceswap autoencoder."""

    input_size = 64
    output_size = 64

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(width)
        c1, c2, c3, c4, dense, up = self.scaled(128, 256, 512, 1024, 1024, 512)
        self.encoder = nn.Sequential(
            *chain(C, 3, c1, c2, c3, c4),
            Flatten(),
            D(4 * 4 * c4, dense),
            D(dense, 4 * 4 * c4),
            Unflatten(4),
            U(c4, up),
        )
        self.decoder_a, self.decoder_b = self._decoder(up), self._decoder(up)

    def _decoder(self, code: int) -> nn.Module:
        u1, u2, u3 = self.scaled(256, 128, 64)
        return nn.Sequential(*chain(U, code, u1, u2), UO(u2, u3))
