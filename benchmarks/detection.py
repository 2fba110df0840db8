"""Faces: detectors, and the detector on one frame in so many, against the detector on every frame."""

import argparse
import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.timing import in_turn, ratio
from dfdm.base.section import FileRef
from dfdm.catalogue import sources
from dfdm.catalogue.config import Config
from dfdm.commands.inputs import detector_of
from dfdm.media.tracks import FaceTrack, track_planes
from dfdm.media.video import probe, read_planes
from dfdm.report.tracks import jitter_of

EVERY = (1, 2, 4, 8)
NETWORK = FileRef(
    package="face_recognition_models", member="face_recognition_models/models/mmod_human_face_detector.dat"
)


def faces_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A scene of each person, `--frames` frames: ms a frame, the frames found, and how far landmarks move and lie."""
    torch.set_num_threads(1)
    ways = {f"dlib, every {count}": cfg.faces.model_copy(update={"every": count}) for count in EVERY}
    ways["dlib_cnn"] = cfg.faces.model_copy(update={"detector": "dlib_cnn", "weights": NETWORK, "every": 1})
    detectors = {way: detector_of(cfg.model_copy(update={"faces": settings})) for way, settings in ways.items()}
    for key in {key.partition("_")[0]: key for key in reversed(cfg.scene_keys)}.values():
        scene = cfg.scene(key)
        path = sources.locate(cfg.sources, scene)
        start = scene.frames[0] if scene.frames else 0
        record = probe(path, key, {"path": path.name}, (start, start + args.frames))
        planes, tracks = list(read_planes(path, record)), dict[str, FaceTrack]()
        runs = {way: partial(_follow, tracks, way, planes, detectors[way], record, ways[way]) for way in ways}
        taken = in_turn(runs, args.seconds)
        plain, *_ = ways
        for way, track in tracks.items():
            yield {
                "scene": key,
                "faces": way,
                "ms_a_frame": 1e3 * statistics.median(taken[way]) / record.frames,
                "times_faster": ratio(taken[plain], taken[way]),
                "found": f"{len(track)} of {record.frames}",
                "jitter": float(jitter_of(track).mean()),
                **_apart(track, tracks[plain]),
            }


def _follow(tracks: dict[str, FaceTrack], way: str, planes: list[np.ndarray], *of: Any) -> None:
    """One pass over decoded frames; the track is kept."""
    tracks[way] = track_planes(planes, *of)


def _apart(track: FaceTrack, whole: FaceTrack) -> dict[str, float]:
    """How far landmarks lie from those of every frame, px."""
    _, mine, theirs = np.intersect1d(track.frame_index, whole.frame_index, return_indices=True)
    far = np.linalg.norm(track.landmarks[mine] - whole.landmarks[theirs], axis=2)
    return {"median_px": float(np.median(far)), "95_percent_px": float(np.percentile(far, 95))}
