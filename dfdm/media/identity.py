"""Whose face it is: dlib's face recognition network, 128 numbers a face."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.media.detectors import Detector, Face

SAME_PERSON = 0.6  # distance below which dlib's authors call two faces one person's
_ENOUGH = 8  # frames of a segment from which on it can show another person


class Embedder:
    """Describes faces by unit-free vectors whose Euclidean distance is small for one person, large for two."""

    def __init__(self, network: Path) -> None:
        import dlib  # a tenth of a second, and whoever reads a track comes by here

        self._dlib = dlib
        try:
            self._network = dlib.face_recognition_model_v1(str(network))
        except RuntimeError as error:
            raise DfdmError(f"{network} is not a dlib face recognition network ({error}); fetch it again") from None

    def describe(self, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The face [128] float64 that 68 landmarks [68, 2] mark in a picture [H, W, 3] RGB uint8."""
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        box = self._dlib.rectangle(*np.rint([*low, *high]).astype(int).tolist())
        points = [self._dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
        found = self._dlib.full_object_detection(box, points)
        return np.array(self._network.compute_face_descriptor(np.ascontiguousarray(rgb), found))


@dataclass(frozen=True)
class Wanted:
    """The person to follow: what their face looks like to the network, and how far from it a face may be."""

    embedder: Embedder
    face: np.ndarray  # [128]
    limit: float

    @staticmethod
    def of(picture: np.ndarray, name: str, detector: Detector, embedder: Embedder, limit: float) -> "Wanted":
        """The person of a picture [H, W, 3] RGB uint8; DfdmError where it shows no face or several."""
        faces = detector.detect(picture)
        if len(faces) != 1:
            raise DfdmError(f"{name} shows {len(faces)} faces; give a picture with the person's face alone")
        return Wanted(embedder, embedder.describe(picture, faces[0].landmarks), limit)

    def choose(self, rgb: np.ndarray, faces: Sequence[Face]) -> Face | None:
        """The face that is most like the person's; None where none is near enough."""
        near = [float(np.linalg.norm(self.embedder.describe(rgb, face.landmarks) - self.face)) for face in faces]
        best = int(np.argmin(near))
        return faces[best] if near[best] <= self.limit else None


@dataclass(frozen=True)
class Seen:
    """A piece of a scene that shows one face: scene, first and last frame, how many show it, the face [128]."""

    scene_key: str
    first: int
    last: int
    frames: int
    face: np.ndarray


def check_person(person: str, pieces: Sequence[Seen], limit: float) -> None:
    """One person in all pieces: DfdmError that names the furthest piece from the middle one, and its distance.

    The middle one is the piece nearest to all frames. Pieces of a few frames are not judged.
    """
    known = [piece for piece in pieces if piece.frames >= _ENOUGH]
    if len(known) < 2:
        return
    faces = np.stack([piece.face for piece in known])
    apart = np.linalg.norm(faces[:, None] - faces[None], axis=2)  # [n, n]
    middle = int(np.argmin(apart @ [piece.frames for piece in known]))
    other = int(np.argmax(apart[middle]))
    if apart[middle, other] > limit:
        one, two = known[other], known[middle]
        raise DfdmError(
            f"{one.scene_key} shows another person in its frames {one.first} to {one.last} than {two.scene_key} in "
            f"{two.first} to {two.last} (distance {apart[middle, other]:.2f}, faces.person_distance {limit:g}), and "
            f"both are {person}: take it out, cut it by `frames`, follow one person with faces.keep: person, or raise "
            "the distance if it is one person"
        )
