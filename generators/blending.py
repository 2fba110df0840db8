"""The masks that a master's faces were blended with, kept by what determines them and drawn by rendering's own code.

A file is a safetensors file: `frame_index` int32 [n] and `landmarks` float32 [n, 68, 2], in frame pixels and smoothed
as they were for rendering; n is the number of frames with a face. They give the polygon and the crop's matrix. The
metadata's one key `dfdm` is JSON: name, size (px of the model's output), centering, coverage, width and height of a
frame, and `render`, the settings of mask, edge and place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field
from safetensors import safe_open

from dfdm.base.errors import DfdmError
from dfdm.base.files import reading
from dfdm.base.records import checked
from dfdm.base.stored import Stored
from dfdm.base.tensorfile import write_tensors
from dfdm.media.planes import blocks_of, changed_pixels
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord, read_planes
from generators.checkpoint import ModelMeta
from generators.settings import Centering, RenderConfig
from generators.swap import Place, placed


class About(Stored):
    """The metadata of a file of masks: what they are of, and what holds for all of its frames."""

    name: str
    size: int = Field(gt=0)
    centering: Centering
    coverage: float = Field(gt=0, le=1)
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    render: RenderConfig


@dataclass(frozen=True)
class Blend:
    """How the new face was laid over each frame of a master: the file's metadata and tensors."""

    about: About
    frame_index: np.ndarray
    landmarks: np.ndarray

    @classmethod
    def of(cls, name: str, track: FaceTrack, model: ModelMeta, settings: RenderConfig) -> "Blend":
        """The blending of a master, from what it was rendered with."""
        about = About(
            name=name,
            size=model.output_size,
            centering=model.centering,
            coverage=model.coverage,
            width=track.record.width,
            height=track.record.height,
            render=RenderConfig(**settings.placing()),
        )
        return cls(about, track.frame_index.astype(np.int32), track.smoothed(settings.smooth).landmarks)

    @classmethod
    def read(cls, path: Path) -> "Blend":
        """The blending of a file; DfdmError for one that is damaged, changed or another."""
        with reading(path, "not a readable file of masks", "run the stage masks"):
            with safe_open(str(path), framework="np") as file:
                about = About.model_validate_json(file.metadata()["dfdm"])
                index, landmarks = file.get_tensor("frame_index"), file.get_tensor("landmarks")
            if landmarks.shape != (len(index), 68, 2):
                raise ValueError("its landmarks are not 68 a frame")
        checked(path)
        return cls(about, index, landmarks)

    def write(self, path: Path) -> None:
        """Write the file; equal values give equal bytes."""
        write_tensors(path, {"frame_index": self.frame_index, "landmarks": self.landmarks}, self.about.plain())

    def place(self, frame: int) -> Place | None:
        """Where the face was put in a frame; None where no face was."""
        row = int(np.searchsorted(self.frame_index, frame))
        if row == len(self.frame_index) or self.frame_index[row] != frame:
            return None
        about = self.about
        fit = about.size, about.centering, about.coverage, about.render, (about.width, about.height)
        return placed(self.landmarks[row], *fit)

    def mask(self, frame: int) -> np.ndarray:
        """How much of each pixel of a frame is the new face, [height, width] float32 0..1, as luma was blended.

        Chroma's is `dfdm.media.colour.halve` of the place's `frame_mask`: the mean of each 2 x 2 block.
        """
        whole = np.zeros((self.about.height, self.about.width), np.float32)
        if (place := self.place(frame)) is not None:
            x0, y0, x1, y1 = place.region
            whole[y0:y1, x0:x1] = place.frame_mask()
        return whole


def changed_by(swap: Path, original: Path, record: VideoRecord, blend: Blend) -> Iterator[np.ndarray]:
    """The pixels of each frame that a master does not have from the original's master, bool [height, width].

    `record` is of both files (`of_encoded`). Raises DfdmError where a pixel changed in a 2 x 2 block that the blending
    mask does not touch: the master was then not rendered as `blend` says.
    """
    frames = [read_planes(path, record, whole=True) for path in (original, swap)]
    for number, (before, after) in enumerate(zip(*frames, strict=True)):
        changed = changed_pixels(before, after)
        outside = blocks_of(changed) & ~blocks_of(blend.mask(number) > 0)
        if outside.any():
            raise DfdmError(
                f"{swap} differs from {original} outside the face in frame {number}; give the track, checkpoint and "
                "config that it was rendered with, or render it again"
            )
        yield changed
