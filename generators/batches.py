"""Which faces each iteration sees, augmented and made ahead of time."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from generators.augment import Batch
from generators.faces import FaceSet
from generators.settings import TrainConfig

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], Batch]  # faces and masks, both uint8 [N, S, S, 3]
AHEAD = 2  # batches that each worker makes before they are needed


class Batches:
    """The batches of a training: iteration i's is the same whenever and wherever it is made."""

    def __init__(self, sides: tuple[FaceSet, FaceSet], augmenter: Augment, settings: TrainConfig, seed: int) -> None:
        self.sides, self.augmenter = sides, augmenter
        self.batch, self.threads, self.seed = settings.batch, settings.threads, seed
        self.workers = settings.workers
        self.orders: dict[tuple[int, int], np.ndarray] = {}

    def order(self, side: int, epoch: int) -> np.ndarray:
        """The order in which an epoch shows one side's faces."""
        order = self.orders.get((side, epoch))
        if order is None:  # two workers may both make it: it is the same
            self.orders.pop((side, epoch - 2), None)
            rng = np.random.default_rng([self.seed, 1 + side, epoch])
            order = self.orders[side, epoch] = rng.permutation(len(self.sides[side]))
        return order

    def rows(self, side: int, iteration: int) -> np.ndarray:
        """Which of a side's faces an iteration sees, [batch]."""
        places = np.arange(iteration * self.batch, (iteration + 1) * self.batch)
        epochs, offsets = np.divmod(places, len(self.sides[side]))
        return np.array([self.order(side, int(epoch))[offset] for epoch, offset in zip(epochs, offsets)])

    def __getitem__(self, iteration: int) -> Batch:
        """Side a's faces, then side b's, augmented: [2 * batch, ...]."""
        torch.set_num_threads(self.threads)  # holds for the calling thread only
        rows = [self.rows(side, iteration) for side in (0, 1)]
        faces = np.concatenate([side.faces[chosen] for side, chosen in zip(self.sides, rows)])
        masks = np.concatenate([side.masks[chosen] for side, chosen in zip(self.sides, rows)])
        return self.augmenter(faces, masks, np.random.default_rng([self.seed, 0, iteration]))


def prefetched(batches: Batches, start: int, stop: int) -> Iterator[Batch]:
    """The batches of iterations [start, stop), made by other threads while the first one trains."""
    ahead = AHEAD * batches.workers
    with ThreadPoolExecutor(batches.workers) as pool:
        waiting = deque(pool.submit(batches.__getitem__, i) for i in range(start, min(start + ahead, stop)))
        for iteration in range(start, stop):
            batch = waiting.popleft().result()
            if iteration + ahead < stop:
                waiting.append(pool.submit(batches.__getitem__, iteration + ahead))
            yield batch
