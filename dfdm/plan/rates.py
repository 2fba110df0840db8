"""What the stages cost: a table of rates, shipped, given as a file, or measured on a finished results folder.

Seconds of a job = sum of its work's features times the stage's rates (dfdm.plan counts the features); bytes go by
pixels. Features: `job` 1; `mpx` frames times megapixels; `step` training iterations; `gmac` multiply-adds in 10^9 (a
training step three times those of a forward pass, and twice that in float32); `kpx` output pixels of trained faces in
10^3; `gparam` weights updated in 10^9.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dfdm.base.errors import DfdmError
from dfdm.base.files import read_json

# Multiply-adds a face and weights of the autoencoders at width w: a w^2 + b w + c (tests compare with the models).
_NETWORKS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], int]] = {
    "faceswap": ((1.87066e9, 29491200.0, 0.0), (82018300.0, 44160.0, 6.0), 64),
    "lightweight": ((3.23381e9, 49152000.0, 0.0), (51019800.0, 46592.0, 6.0), 64),
    "iae": ((1.88744e9, 29491200.0, 0.0), (117768000.0, 47808.0, 3.0), 64),
    "dfaker": ((8.81643e9, 88473600.0, 0.0), (113279000.0, 51840.0, 6.0), 128),
    "dfl_h128": ((1.52505e10, 196608000.0, 0.0), (107643000.0, 73216.0, 6.0), 128),
}
RESNET_GMAC = {18: 1.82, 34: 3.67, 50: 4.11, 101: 7.83}  # a frame at 224 px
CLASSIFIER_GMAC = {  # of the classifiers that are no such ResNet
    "efficientnet_b0": 0.385,
    "meso_inception4": 0.044,
    "r3d_18": 10.8,
    "residual_dct": 1.15,
    "vgg_bilstm": 17.7,
    "vgg_capsule": 20.0,
    "xception": 4.59,
}


def multiply_adds(model: str, width: float) -> float:
    """Multiply-adds that one face costs in a forward pass."""
    a, b, c = _network(model)[0]
    return a * width**2 + b * width + c


def parameters(model: str, width: float) -> float:
    """Weights of an autoencoder."""
    a, b, c = _network(model)[1]
    return a * width**2 + b * width + c


def output_size(model: str) -> int:
    """The side of the faces a model makes, px."""
    return _network(model)[2]


def _network(model: str) -> tuple[tuple[float, float, float], tuple[float, float, float], int]:
    if model not in _NETWORKS:
        raise DfdmError(f"the plan knows no costs of '{model}'; add them to dfdm/plan/rates.py")
    return _NETWORKS[model]


@dataclass(frozen=True)
class Rates:
    """Rates of one machine."""

    source: str  # where they come from, for the reader
    seconds: dict[str, dict[str, float]]  # stage -> feature -> seconds
    bytes_pixel: dict[int, float]  # crf -> bytes a frame and pixel of the encoded videos
    crop_bytes_pixel: float  # bytes of crops a frame and pixel of the video
    gpu_gmac_second: float  # multiply-adds a second in 10^9 that a GPU is taken to reach in training and rendering

    def bytes_at(self, crf: int) -> float:
        """Bytes a frame and pixel at a crf: between measured ones on a straight line of the logarithm."""
        known = sorted(self.bytes_pixel)
        if crf in self.bytes_pixel or len(known) == 1:
            return self.bytes_pixel[crf if crf in self.bytes_pixel else known[0]]
        upper = next((index for index, value in enumerate(known) if value > crf), len(known) - 1)
        low, high = known[max(upper, 1) - 1], known[max(upper, 1)]
        a, b = math.log(self.bytes_pixel[low]), math.log(self.bytes_pixel[high])
        return math.exp(a + (b - a) * (crf - low) / (high - low))

    def to_json(self) -> dict[str, Any]:
        """The table as `load` reads it."""
        return asdict(self)


def load(path: Path | None) -> Rates:
    """Rates from a file, the shipped ones where none is given."""
    path = path or Path(__file__).with_name("rates.json")
    values = read_json(path)
    try:
        return Rates(**{**values, "bytes_pixel": {int(crf): float(v) for crf, v in values["bytes_pixel"].items()}})
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DfdmError(f"{path} is no table of rates ({error}); 'dfdm plan --measure OUT' writes one") from None


def fit(rows: list[dict[str, float]], seconds: list[float], base: dict[str, float]) -> dict[str, float]:
    """Rates of a stage from jobs' work and core seconds: those of `base` times the one factor that gives their sum.

    One factor, since a few like jobs cannot tell a start, a pixel and a multiply-add apart: fitted freely, tiny
    trainings gave a multiply-add the price 0, and a full-size forecast with it.
    """
    told = sum(base.get(name, 0.0) * amount for row in rows for name, amount in row.items())
    factor = sum(seconds) / told if told else 0.0
    return {name: float(f"{rate * factor:.4g}") for name, rate in base.items()}


def with_measured(rates: Rates, source: str, **parts: Any) -> Rates:
    """These rates with measured parts over them; stages without a measured job keep theirs."""
    return replace(rates, source=source, **parts)


def dump(rates: Rates) -> str:
    """The table as text."""
    return json.dumps(rates.to_json(), indent=1)
