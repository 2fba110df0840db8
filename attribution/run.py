"""A run: one training of a classifier, named by what it is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

from dfdm.dataset.splits import Kind

ALL = "all"  # trained on every quality together


@dataclass(frozen=True, order=True)
class Run:
    """One training: which classifier (dfdm.catalogue.config.Config.classifier), split, quality (or `all`) and seed."""

    classifier: str
    split: Kind
    crf: str
    seed: int

    def __str__(self) -> str:
        """Its folder below `attribution/`, which identifies it: `dma_sta/scene/crf10/seed0`."""
        return f"{self.classifier}/{self.split}/crf{self.crf}/seed{self.seed}"

    def qualities(self, every: Sequence[int]) -> list[int]:
        """The crf values that it is trained on, of `every` quality there is."""
        return list(every) if self.crf == ALL else [int(self.crf)]
