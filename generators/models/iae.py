"""IAE: shared encoder, three intermediates, one decoder (docs/architectures.md, Architectures).

64x64x3 -> encoder C128 32x32, C256 16x16, C512 8x8, C1024 4x4
-> intermediates a, b and both: D1024, D8192 as 4x4x512; a side's own and the common one: 4x4x1024
-> decoder U512 8x8, U256 16x16, U128 32x32, U64 64x64, O -> 64x64x3.
117,816,003 parameters and 1.917 G multiply-adds per face at width 1.
"""

import torch
from torch import Tensor, nn

from generators.models.blocks import UO, Autoencoder, C, D, Flatten, U, Unflatten, chain


class Model(Autoencoder):
    """The IAE autoencoder."""

    input_size = 64
    output_size = 64
    keras_order = ("encoder", "inter_a", "inter_both", "inter_b", "decoder")

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(width)
        c1, c2, c3, c4, dense, inter = self.scaled(128, 256, 512, 1024, 1024, 512)
        u1, u2, u3, u4 = self.scaled(512, 256, 128, 64)
        self.encoder = nn.Sequential(*chain(C, 3, c1, c2, c3, c4), Flatten())

        def intermediate() -> nn.Module:
            return nn.Sequential(D(4 * 4 * c4, dense), D(dense, 4 * 4 * inter), Unflatten(4))

        self.inter_a, self.inter_b, self.inter_both = intermediate(), intermediate(), intermediate()
        self.decoder = nn.Sequential(*chain(U, 2 * inter, u1, u2, u3), UO(u3, u4))

    def encode(self, faces: Tensor) -> Tensor:
        """The shared encoder: [N, 3, 64, 64] -> [N, 16384]."""
        return self.encoder(faces)

    def decode(self, code: Tensor, side: str) -> Tensor:
        """One side's intermediate and the common one, then the shared decoder."""
        return self.decoder(self._between(code, self.inter_both(code), side))

    def forward(self, faces_a: Tensor, faces_b: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct both sides' faces; encoder, common intermediate and decoder see them as one batch."""
        sizes = [len(faces_a), len(faces_b)]
        code = self.encode(torch.cat((faces_a, faces_b)))
        codes, both = code.split(sizes), self.inter_both(code).split(sizes)
        joined = [self._between(codes[0], both[0], "a"), self._between(codes[1], both[1], "b")]
        faces = self.decoder(torch.cat(joined)).split(sizes)
        return faces[0], faces[1]

    def _between(self, code: Tensor, both: Tensor, side: str) -> Tensor:
        own = self.inter_a(code) if side == "a" else self.inter_b(code)
        return torch.cat((own, both), 1)  # [N, 1024, 4, 4]
