"""A run: one training of a classifier, named by what it is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

ALL = "all"  # trained on every quality together


@dataclass(frozen=True, order=True)
class Run:
    """One training: classifier (dfdm.catalogue.config.Config.classifier), split or fold, quality (or `all`), seed."""

    classifier: str
    split: str
    crf: str
    seed: int

    def __str__(self) -> str:
        """Its folder below `attribution/`, which identifies it: `dma_sta/scene/crf10/seed0`."""
        return f"{self.classifier}/{self.split}/crf{self.crf}/seed{self.seed}"

    def qualities(self, every: Sequence[int]) -> list[int]:
        """The crf values that it is trained on, of `every` quality there is."""
        return list(every) if self.crf == ALL else [int(self.crf)]
