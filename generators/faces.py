"""One person's training faces in memory: aligned pictures and masks (docs/architectures.md, Faces and Masks)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfdm.config import TrainConfig
from dfdm.errors import DfdmError
from dfdm.media import alignment, colour, masks
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import read_planes
from dfdm.progress import Progress

FULL = 384  # px of a training face
FEWEST = 16  # faces that a training needs of a person
SHOWN = 8  # held-out faces kept for the preview


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


def load_faces(person: str, tracks: list[tuple[Path, FaceTrack]], settings: TrainConfig, model_size: int) -> FaceSet:
    """Decode a person's scenes once and keep the faces that training needs.

    `tracks`: each scene's video file and face track; `model_size`: the larger of the model's input and output.
    The last `held_out` share of each scene's faces is not trained on. Raises DfdmError for too few faces.
    """
    rows = [(scene, row) for scene, (_, track) in enumerate(tracks) for row in range(_kept(track, settings))]
    held = [
        (scene, row) for scene, (_, track) in enumerate(tracks) for row in range(_kept(track, settings), len(track))
    ]
    if len(rows) < FEWEST:
        raise DfdmError(
            f"{person} has {len(rows)} faces to train on, at least {FEWEST} are needed; "
            "add scenes that show the face, or lower faces.confidence or train.held_out"
        )
    trained, shown = _evenly(rows, settings.max_faces), _evenly(held or rows, SHOWN)
    size = face_size(settings, model_size)
    faces = np.empty((len(trained), size, size, 3), np.uint8)
    drawn = np.empty((len(trained), size, size, 3), np.uint8)
    seen = np.empty((len(shown), model_size, model_size, 3), np.uint8)
    places = {place: index for index, place in enumerate(trained)}
    places_shown = {place: index for index, place in enumerate(shown)}
    with Progress(sum(len(track) for _, track in tracks), f"faces of {person}", "face") as progress:
        for scene, (path, track) in enumerate(tracks):
            row_of = {int(frame): row for row, frame in enumerate(track.frame_index)}
            for frame, planes in enumerate(read_planes(path, track.record)):
                row = row_of.get(frame)
                if row is None:
                    continue
                progress.update()
                place = (scene, row)
                if place not in places and place not in places_shown:
                    continue
                rgb = colour.yuv_to_rgb(planes, track.record.matrix, track.record.full_range)
                full = alignment.align(rgb, track.landmarks[row], FULL, settings.centering)  # [384, 384, 3]
                if place in places:
                    index = places[place]
                    faces[index] = full if size == FULL else cut(full, settings.coverage, size)
                    drawn[index] = _masks(track.landmarks[row], rgb.shape, settings, size)
                if place in places_shown:
                    seen[places_shown[place]] = cut(full, settings.coverage, model_size)
    return FaceSet(person, faces, drawn, seen)


def _kept(track: FaceTrack, settings: TrainConfig) -> int:
    """How many of a scene's faces, the first ones, training may see."""
    return track.trained_count(settings.held_out)


def _evenly(items: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
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
    stored = masks.training_mask(masks.draw_mask(landmarks, settings.mask, (shape[1], shape[0])))
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
