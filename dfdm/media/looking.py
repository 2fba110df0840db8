"""The faces of each frame: by the detector, or between frames in which it found the same ones (`faces.every`)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.media.alignment import misfit
from dfdm.media.detectors import Detector, Face, Following

# Landmarks that lie on a face stay below: see alignment.misfit for the first two. The third is in distances of the
# eyes: up to 0.16 for faces that nothing covers, 0.23 in the middle for landmarks that lie on an upside-down face.
_ACROSS, _FROM_MEAN, _SPREAD = 0.062, 0.25, 0.2
# The same face in two frames: its middle at most so many widths away, its width at most so many times another.
_MOVED, _GROWN = 0.35, 1.25


@dataclass
class Look:
    """A frame, RGB uint8 [H, W, 3], and the faces in it. `skipped`: the frame before it was not given."""

    number: int
    frame: np.ndarray
    cut: bool
    skipped: bool
    found: list[Face] = field(default_factory=list)


def luma_histogram(rgb: np.ndarray) -> np.ndarray:
    """The share of pixels in each of 32 steps of brightness, [32]; every fourth pixel each way counts."""
    luma = cv2.cvtColor(np.ascontiguousarray(rgb[::4, ::4]), cv2.COLOR_RGB2GRAY)
    return np.bincount(luma.ravel() >> 3, minlength=32) / luma.size


def fits(face: Face) -> bool:
    """Whether landmarks lie on the face: the shape of a head, where a little shift of the box leaves them."""
    if not np.isfinite(face.landmarks).all() or face.spread > _SPREAD:
        return False
    across, from_mean = misfit(face.landmarks)
    return across <= _ACROSS and from_mean <= _FROM_MEAN


def looks(
    numbered: Iterable[tuple[int, np.ndarray]], detector: Detector, cut_threshold: float, every: int = 1
) -> Iterator[Look]:
    """Each of some frames, numbered and rising, with its faces and whether a cut is before it.

    The detector looks at each frame; with `every` above 1 at one in so many, and where both ends of such a stretch
    show the same faces, landmarks are placed between them in boxes that move evenly. Where they do not, where a cut is
    between, or where landmarks do not fit, the detector looks. At most `every` frames are kept.
    """
    if every > 1 and not isinstance(detector, Following):
        raise DfdmError("faces.every needs a detector that places landmarks in a given box; set it to 1")
    start: Look | None = None  # the last frame that the detector looked at
    between: list[Look] = []
    for look in _frames(numbered, cut_threshold):
        if look.cut or look.skipped:
            yield from _stretch(start, between, detector)
            start, between = None, []
        between.append(look)
        if start is None or len(between) == every:
            yield from _stretch(start, between, detector)
            start, between = look, []
    yield from _stretch(start, between, detector)


def _frames(numbered: Iterable[tuple[int, np.ndarray]], cut_threshold: float) -> Iterator[Look]:
    before: np.ndarray | None = None
    index = -1
    for number, frame in numbered:
        skipped = number > index + 1
        histogram = luma_histogram(frame)
        cut = not skipped and before is not None and float(np.abs(histogram - before).sum() / 2) > cut_threshold
        index, before = number, histogram
        yield Look(number, frame, cut, skipped)


def _stretch(start: Look | None, looked: list[Look], detector: Detector) -> list[Look]:
    """Frames after `start` (None: nothing is known before them), with their faces; the detector looks at the last."""
    if not looked:
        return looked
    end = looked[-1]
    end.found = detector.detect(end.frame)
    pairs = _pairs(start.found, end.found) if start is not None else []
    for look in looked[:-1]:
        share = (look.number - start.number) / (end.number - start.number) if start is not None else 0.0
        look.found = [_between(detector, look.frame, a, b, share) for a, b in pairs]
        if not look.found or not all(map(fits, look.found)):
            look.found = detector.detect(look.frame)
    return looked


def _pairs(before: list[Face], after: list[Face]) -> list[tuple[Face, Face]]:
    """Each face with the same one later; empty where they are not clearly the same."""
    if len(before) != len(after):
        return []
    near = [min(after, key=partial(_far, one)) for one in before]
    same = len({id(face) for face in near}) == len(near) and all(map(_same, before, near))
    return list(zip(before, near)) if same else []


def _same(one: Face, other: Face) -> bool:
    small, large = sorted((_width(one), _width(other)))
    return 0 < large <= _GROWN * small and _far(one, other) <= _MOVED * small


def _far(one: Face, other: Face) -> float:
    return float(np.linalg.norm(_middle(one) - _middle(other)))


def _middle(face: Face) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


def _width(face: Face) -> float:
    return float(face.box[2] - face.box[0])


def _between(detector: Detector, frame: np.ndarray, before: Face, after: Face, share: float) -> Face:
    """A face in a frame between two that show it; as sure and as steady as the poorer of them."""
    box = (1 - share) * before.box + share * after.box
    assert isinstance(detector, Following)
    landmarks = detector.landmarks(frame, box)
    return Face(box, landmarks, min(before.confidence, after.confidence), max(before.spread, after.spread))
