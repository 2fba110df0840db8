"""What the stages cost: a table of rates, shipped, given as a file, or measured on a finished results folder.

Seconds of a job = sum of its work's features times the stage's rates (dfdm/plan/estimate.py counts the features);
bytes go by pixels. Features: `job` 1; `mpx` frames times megapixels; `step` training iterations; `gmac` multiply-adds
in 10^9 (a training step three times those of a forward pass, and twice that in float32); `kpx` output pixels of
trained faces in 10^3; `gparam` weights updated in 10^9; `files` files read.
"""

import math
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from dfdm.base.errors import DfdmError
from dfdm.base.files import read_json
from dfdm.base.stored import Stored, fault

Above = Annotated[float, Field(gt=0)]


class Rates(Stored):
    """Rates of one machine."""

    source: str  # where they come from, for the reader
    seconds: dict[str, dict[str, Annotated[float, Field(ge=0)]]]  # stage -> feature -> seconds
    bytes_pixel: dict[int, Above] = Field(min_length=1)  # crf -> bytes a frame and pixel of the encoded videos
    crop_bytes_pixel: Above  # bytes of crops, not packed, a frame and pixel of the video
    mask_bytes_pixel: Above  # bytes of a video of changed pixels, a frame and pixel
    crop_ratio: dict[str, Above]  # crops.codec -> how many times smaller its crops are
    gpu_gmac_second: Above  # multiply-adds a second in 10^9 that a GPU is taken to reach in training and rendering

    def bytes_at(self, crf: int) -> float:
        """Bytes a frame and pixel at a crf: between measured ones on a straight line of the logarithm."""
        known = sorted(self.bytes_pixel)
        if crf in self.bytes_pixel or len(known) == 1:
            return self.bytes_pixel[crf if crf in self.bytes_pixel else known[0]]
        upper = next((index for index, value in enumerate(known) if value > crf), len(known) - 1)
        low, high = known[max(upper, 1) - 1], known[max(upper, 1)]
        a, b = math.log(self.bytes_pixel[low]), math.log(self.bytes_pixel[high])
        return math.exp(a + (b - a) * (crf - low) / (high - low))


def load(path: Path | None) -> Rates:
    """Rates from a file, the shipped ones where none is given."""
    path = path or Path(__file__).with_name("rates.json")
    try:
        return Rates.model_validate(read_json(path))
    except ValidationError as error:
        raise DfdmError(
            f"{path} is not a table of rates ({fault(error)}); 'dfdm plan --measure OUT' writes one"
        ) from None


def fit(rows: list[dict[str, float]], seconds: list[float], base: dict[str, float]) -> dict[str, float]:
    """Rates of a stage from jobs' work and core seconds: those of `base` times the one factor that gives their sum.

    One factor, since a few like jobs cannot separate a start, a pixel and a multiply-add: fitted freely, tiny
    trainings gave a multiply-add the price 0, and a full-size forecast with it. Without a base: seconds a job.
    """
    base = base or {"job": 1.0}
    forecast = sum(base.get(name, 0.0) * amount for row in rows for name, amount in row.items())
    factor = sum(seconds) / forecast if forecast else 0.0
    return {name: float(f"{rate * factor:.4g}") for name, rate in base.items()}
