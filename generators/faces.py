"""One person's training faces in memory: aligned pictures and masks (docs/architectures.md, Faces and Masks)."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.base.machine import available_memory
from dfdm.base.progress import Progress
from dfdm.base.text import size_text
from dfdm.media import alignment, colour, masks
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import read_planes
from generators.settings import TrainConfig

FULL = 384  # px of a training face
FEWEST = 16  # faces that a training needs of a person
SHOWN = 8  # held-out faces kept for the preview
FLAT = 1.0  # px: landmarks that scatter less along some direction (standard deviation) lie in a line or a point
Rows = list[tuple[int, int]]  # faces: the scene in a person's list, the row of its track
Scenes = list[tuple[Path, FaceTrack]]  # the video file and face track of each scene of a person


@dataclass(frozen=True)
class FaceSet:
    """A person's faces, RGB uint8, one frame each, evenly over the scenes.

    `faces` [n, S, S, 3]; `masks` [n, S, S, 3]: face, eyes, mouth, 0..255; S is `face_size`'s. `shown`
    [m, s, s, 3] are coverage squares of frames that training does not see, s the larger of the model's sizes.
    """

    person: str
    faces: np.ndarray
    masks: np.ndarray
    shown: np.ndarray

    def __len__(self) -> int:
        return len(self.faces)


def face_size(settings: TrainConfig, model_size: int) -> int:
    """The size faces are kept at: the model's (the coverage square only), or 384 (the whole training face)."""
    return model_size if settings.augment_size == "model" else FULL


def check_sources(
    pair: tuple[str, str], tracks_a: Scenes, tracks_b: Scenes, settings: TrainConfig, model_size: int
) -> None:
    """Before anything is decoded: are there two people, and room in memory for their faces? DfdmError if not."""
    for (_, one), (_, other) in product(tracks_a, tracks_b):
        first, second = one.record, other.record
        if first.sha256 == second.sha256 and first.start < second.stop and second.start < first.stop:
            raise DfdmError(
                f"scenes {first.scene_key} and {second.scene_key} are the same frames of the same video, so "
                f"{pair[0]} and {pair[1]} are one person; correct sources.people"
            )
    sides = ([track for _, track in tracks] for tracks in (tracks_a, tracks_b))
    counts = [min(len(_rows(tracks, settings)[0]), settings.max_faces) for tracks in sides]
    size = face_size(settings, model_size)
    face = size * size * 6  # bytes: picture and masks
    if (free := available_memory()) is not None and sum(counts) * face > free:
        raise DfdmError(
            f"the faces of {pair[0]} and {pair[1]} ({counts[0]} and {counts[1]}, {size} px) need "
            f"{size_text(sum(counts) * face)} of memory and {size_text(free)} are free; "
            f"lower train.max_faces (to {int(free * 0.8) // (2 * face)} or less)"
            + (", or set augment_size: model" if size == FULL and model_size < FULL else "")
        )


def check_different(side_a: FaceSet, side_b: FaceSet) -> None:
    """Two people of whom half the faces are alike to the last bit are one: DfdmError."""
    middle = side_a.faces.shape[1] // 2
    rows = {face[middle].tobytes() for face in side_a.faces}  # one row distinguishes faces, and is quick to compare
    alike = sum(face[middle].tobytes() in rows for face in side_b.faces)
    if 2 * alike >= min(len(side_a), len(side_b)):
        raise DfdmError(
            f"{alike} of {len(side_b)} faces of {side_b.person} are also faces of {side_a.person}, so they are one "
            "person (copies of one video?); correct sources.people"
        )


def usable(track: FaceTrack) -> np.ndarray:
    """Which of a track's faces can be aligned, bool [n].

    Landmarks must be numbers, not all in a line or a point, and half of them within the frame.
    """
    points = track.landmarks.astype(np.float64)  # [n, 68, 2]
    finite = np.asarray(np.isfinite(points).all((1, 2)))
    points = np.where(finite[:, None, None], points, 0)
    inner = points[:, 17:] - points[:, 17:].mean(1, keepdims=True)  # the points that alignment uses
    scatter = np.linalg.eigvalsh(inner.transpose(0, 2, 1) @ inner / inner.shape[1])[:, 0]  # along the thinner axis
    within = np.all((points >= 0) & (points < [track.record.width, track.record.height]), axis=2).mean(1)
    return finite & (scatter > FLAT**2) & (within >= 0.5)


def _rows(tracks: Iterable[FaceTrack], settings: TrainConfig) -> tuple[Rows, Rows, int]:
    """The faces to train on and of those held out; how many more are unusable."""
    rows, held, lost = [], [], 0
    for scene, track in enumerate(tracks):
        good, kept = usable(track), track.trained_count(settings.held_out)
        rows += [(scene, row) for row in range(kept) if good[row]]
        held += [(scene, row) for row in range(kept, len(track)) if good[row]]
        lost += int((~good).sum())
    return rows, held, lost


def trained_faces(tracks: Sequence[FaceTrack], settings: TrainConfig) -> list[np.ndarray]:
    """Which faces of a person's scenes a training is given: bool [n] for each track, in order; see `load_faces`."""
    seen = [np.zeros(len(track), bool) for track in tracks]
    for scene, row in _evenly(_rows(tracks, settings)[0], settings.max_faces):
        seen[scene][row] = True
    return seen


def load_faces(person: str, tracks: Scenes, settings: TrainConfig, model_size: int) -> FaceSet:
    """Decode a person's scenes once and keep the faces that training needs.

    `model_size`: the larger of the model's input and output. The last `held_out` share of each scene's faces is not
    trained on; of more than `max_faces`, as many evenly spread ones are. Faces that cannot be aligned are left out, and
    counted on stderr. Memory: the result, and one frame. Raises DfdmError for too few faces and for a track that does
    not fit its video.
    """
    rows, held, lost = _rows((track for _, track in tracks), settings)
    left_out = f"{lost} more left out: their landmarks are not numbers, lie in a line or outside the frame"
    if len(rows) < FEWEST:
        raise DfdmError(
            f"{person} has {len(rows)} faces to train on, at least {FEWEST} are needed"
            + (f" ({left_out})" if lost else "")
            + "; add scenes that show the face, or lower faces.confidence or train.held_out"
        )
    if lost:
        print(f"faces of {person}: {len(rows)} to train on, {left_out}", file=sys.stderr)
    trained, shown = _evenly(rows, settings.max_faces), _evenly(held or rows, SHOWN)
    size = face_size(settings, model_size)
    faces = np.empty((len(trained), size, size, 3), np.uint8)
    drawn = np.empty_like(faces)
    seen = np.empty((len(shown), model_size, model_size, 3), np.uint8)
    place_of = {place: index for index, place in enumerate(trained)}
    place_shown = {place: index for index, place in enumerate(shown)}
    missing = {*trained, *shown}
    with Progress(sum(len(track) for _, track in tracks), f"faces of {person}", "face") as progress:
        for scene, (path, track) in enumerate(tracks):
            for row, planes in track.seen(read_planes(path, track.record)):
                progress.update()
                place = (scene, row)
                if place not in missing:
                    continue
                missing.remove(place)
                rgb = colour.yuv_to_rgb(planes, track.record.matrix, track.record.full_range)
                full = alignment.align(rgb, track.landmarks[row], FULL, settings.centering)  # [384, 384, 3]
                if (index := place_of.get(place)) is not None:
                    faces[index] = full if size == FULL else cut(full, settings.coverage, size)
                    drawn[index] = _masks(track.landmarks[row], rgb.shape, settings, size)
                if (index := place_shown.get(place)) is not None:
                    seen[index] = cut(full, settings.coverage, model_size)
    if missing:
        scene, row = min(missing)
        path, track = tracks[scene]
        raise DfdmError(
            f"the track of {track.record.scene_key} has a face in frame {track.frame_index[row]}, which the "
            f"scene in {path} does not have; run the faces stage again"
        )
    return FaceSet(person, faces, drawn, seen)


def _evenly(items: Rows, most: int) -> Rows:
    """At most `most` items, evenly spread."""
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]


def cut(face: np.ndarray, coverage: float, size: int) -> np.ndarray:
    """The coverage square of a whole face [384, 384, C], resized by area to [size, size, C]."""
    square = square_size(coverage)
    edge = (FULL - square) // 2
    return masks.resize(face[edge : edge + square, edge : edge + square], size)


def square_size(coverage: float) -> int:
    """The coverage square's size on the 384 px face: 336 at 0.875."""
    return int(FULL * coverage // 2) * 2


def _masks(landmarks: np.ndarray, shape: tuple[int, ...], settings: TrainConfig, size: int) -> np.ndarray:
    """Face, eyes and mouth of one face, [size, size, 3] uint8."""
    whole = size == FULL
    coverage = 1.0 if whole else settings.coverage
    drawn = masks.draw_mask(landmarks, settings.mask, (shape[1], shape[0]))
    stored = masks.training_mask(drawn, settings.mask_blur, settings.mask_dilation)
    face = masks.cut_mask(stored, FULL, 1.0, settings.centering, landmarks)  # [384, 384]
    if not whole:
        face = cut(face, settings.coverage, size)  # as the face itself
    points = alignment.transform(landmarks, alignment.aligned_matrix(landmarks, size, settings.centering, coverage))
    if not whole:  # the face was resized by area: pixel centres, not corners, lie on each other
        points += 0.5 * (size / square_size(coverage) - 1)
    dilate = size // 32 if whole else round(0.025 * size)
    eyes = masks.region_mask(masks.eye_regions(points), size, dilate, size // 16)
    mouth = masks.region_mask(masks.mouth_region(points), size, dilate, size // 16)
    return np.stack([face, np.rint(eyes * 255), np.rint(mouth * 255)], -1).astype(np.uint8)
