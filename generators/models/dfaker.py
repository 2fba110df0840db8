"""Dfaker: Faceswap's encoder, residual decoders, twice the size (docs/architectures.md, Architectures).

64x64x3 -> encoder as Faceswap's, 8x8x512
-> decoder U512* 16x16, R512, U256* 32x32, R256, U128* 64x64, R128, U64 128x128, O -> 128x128x3
(* with LeakyReLU 0.2). 113,330,822 parameters and 8.905 G multiply-adds per face at width 1.
"""

from torch import nn

from generators.models.blocks import UO, R, U
from generators.models.faceswap import Model as Faceswap


class Model(Faceswap):
    """The Dfaker autoencoder."""

    input_size = 64
    output_size = 128

    def _decoder(self, code: int) -> nn.Module:
        u1, u2, u3, u4 = self.scaled(512, 256, 128, 64)
        return nn.Sequential(
            U(code, u1, slope=0.2),
            R(u1),
            U(u1, u2, slope=0.2),
            R(u2),
            U(u2, u3, slope=0.2),
            R(u3),
            UO(u3, u4),
        )
