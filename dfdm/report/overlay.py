"""A swap with one of its masks laid over it, as a video or as one frame, marked SYNTHETIC."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.base.progress import progress
from dfdm.base.records import checked
from dfdm.catalogue.layout import Layout
from dfdm.dataset.provenance import read_mark
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.comments import commented
from dfdm.media.encoding import provenance_tags
from dfdm.media.planes import is_white
from dfdm.media.video import VideoRecord, probe, read_planes
from dfdm.report.pictures import STAMP_RGB, stamp
from generators.blending import Blend

Mask = Literal["changed", "blend"]
PICTURE, VIDEO = ".png", ".mp4"
_TINT, _MOST = np.array([255, 214, 0], np.float32), 0.4  # the colour of a mask that is 1, and how much of it
_CRF = "18"


def write_overlay(video: Path, layout: Layout, show: Mask, out: Path, frame: int | None = None) -> None:
    """Lay a swap's mask over its video of any quality: every frame (.mp4), or one (.png; default the middle one)."""
    mark = read_mark(video)
    record = probe(video, f"{mark['video_id']}_{mark['scene']}", {"path": str(video)})
    if frame is not None and frame >= record.frames:
        raise DfdmError(f"--frame {frame}: {video} has the frames 0 to {record.frames - 1}")
    clip = str(mark["name"]).removesuffix(f"_{mark['model']}")
    path = Path((layout.changed if show == "changed" else layout.blend)(clip, mark["model"]))
    weights = _weights(video, path, show, record)
    shown = (
        stamp(_tinted(yuv_to_rgb(planes, record.matrix, record.full_range), weight), f"{mark['model']}, {show}")
        for planes, weight in zip(read_planes(video, record), weights, strict=True)
    )
    if out.suffix == VIDEO:
        tags = {**provenance_tags(mark), "dfdm_overlay": show}
        _write(out, progress(shown, record.frames, f"overlay {out.stem}", "frames"), record, tags)
        return
    wanted = record.frames // 2 if frame is None else frame
    picture = next(rgb for number, rgb in enumerate(shown) if number == wanted)
    with atomic(out) as temporary:
        coded = cv2.imencode(PICTURE, picture[..., ::-1])[1].tobytes()
        temporary.write_bytes(commented(coded, {**mark, "overlay": show}))


def _weights(video: Path, path: Path, show: Mask, record: VideoRecord) -> Iterator[np.ndarray]:
    """The mask of each frame, [height, width] of 0..1."""
    if not path.is_file():
        raise DfdmError(f"{path} does not exist: originals have no mask, that of a swap is made by the stage masks")
    if show == "changed":
        checked(path)
        return map(is_white, read_planes(path, record, whole=True))
    blend = Blend.read(path)
    about = blend.about
    if (about.width, about.height) != (record.width, record.height):
        raise DfdmError(f"{path} is of {about.width}x{about.height} pixels, {video} is not: it was scaled or cropped")
    return (blend.mask(number) for number in range(record.frames))


def _tinted(rgb: np.ndarray, weight: np.ndarray) -> np.ndarray:
    share = _MOST * weight[..., None].astype(np.float32)
    return np.rint(rgb + share * (_TINT - rgb)).astype(np.uint8)


def _write(path: Path, frames: Iterator[np.ndarray], record: VideoRecord, tags: dict[str, str]) -> None:
    """Write RGB frames with a record's times as H.264, an odd height padded in the stamp's colour."""
    options = {"movflags": "use_metadata_tags+faststart", "fflags": "+bitexact"}
    with atomic(path) as temporary, av.open(str(temporary), "w", options=options) as container:
        container.metadata.update(tags)
        stream: Any = None
        for index, rgb in enumerate(frames):
            even = cv2.copyMakeBorder(rgb, 0, len(rgb) % 2, 0, 0, cv2.BORDER_CONSTANT, value=STAMP_RGB)
            if stream is None:
                rate = Fraction(*record.rate).limit_denominator(65535)
                stream = container.add_stream("libx264", rate=rate, options={"crf": _CRF})
                stream.height, stream.width = even.shape[:2]
                stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(*record.time_base)
            picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = record.pts[index] if record.pts else index, Fraction(*record.time_base)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
