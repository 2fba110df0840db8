"""The README's picture: original and swaps side by side, eyes covered, marked SYNTHETIC."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from dfdm import __version__
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.base.names import REAL, parse_name
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.dataset.sidecar import STATEMENT
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded
from dfdm.report import pictures
from dfdm.report.clips import moment

SIZE = 232
GAP, HEADING = 6, 30


def readme_picture(cfg: Config, results: Path, out: Path, clips: Sequence[str], crf: int | None = None) -> None:
    """Write a JPEG with a row for each clip (`id0_id1_0003`): the original, then every model of the config.

    The close-ups come from the videos at `crf` (default: the config's best quality). Every face's brows and eyes are
    under a solid bar, so that a person without documented consent cannot be recognised; every generated one is
    stamped. Raises DfdmError when a video, a track or a face in it is missing.
    """
    layout, quality = Layout(str(results)), cfg.qualities[0] if crf is None else crf
    rows = [_headings(["original", *cfg.models]), *(_row(cfg, layout, clip, quality) for clip in clips)]
    with atomic(out) as temporary:
        mark = {"synthetic": True, "statement": STATEMENT, "clips": list(clips), "crf": quality, "version": __version__}
        temporary.write_bytes(pictures.jpeg(np.concatenate(rows), mark, 88))


def _row(cfg: Config, layout: Layout, clip: str, crf: int) -> np.ndarray:
    """One clip's close-ups, eyes covered, side by side."""
    swapped = parse_name(f"{clip}_{next(reversed(cfg.models))}")
    track = FaceTrack.load(layout.track(swapped.scene_key))
    shown = moment(cfg, track)
    if shown.landmarks is None:
        raise DfdmError(f"{clip}: no face was found in {swapped.scene_key}; choose another clip for the picture")
    cells = []
    for model in (REAL, *cfg.models):
        shows = swapped.scene_key if model == REAL else clip
        rgb = pictures.read_frame(Path(layout.video(shows, model, crf)), of_encoded(track.record), shown.frame)
        covered = pictures.cover_eyes(rgb, shown.landmarks)
        face = pictures.close_up(covered, shown.landmarks, SIZE, margin=0.22)
        cells.append(face if model == REAL else pictures.stamp(face))
    height = max(map(len, cells)) + GAP
    padded = [np.pad(cell, ((0, height - len(cell)), (0, GAP), (0, 0)), constant_values=255) for cell in cells]
    return np.concatenate(padded, axis=1)[:, :-GAP]


def _headings(labels: list[str]) -> np.ndarray:
    width = len(labels) * (SIZE + GAP) - GAP
    band = np.full((HEADING, width, 3), 255, np.uint8)
    for column, label in enumerate(labels):
        place = (column * (SIZE + GAP) + 2, HEADING - 10)
        cv2.putText(band, label, place, cv2.FONT_HERSHEY_DUPLEX, 0.6, (31, 41, 51), 1, cv2.LINE_AA)
    return band
