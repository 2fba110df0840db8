"""The result file of the evaluation, as its writer fills it and every reader gets it (docs/data.md, Files)."""

from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from dfdm.base.stored import OPEN, Stored


class Reconstruction(Stored):
    """How well a person's own faces are rebuilt; None where no frame was measured."""

    frames: int
    ssim: float | None
    psnr: float | None


class References(Stored):
    """The scale of identity: the distance between the two people, and of each one's faces from their mean."""

    faces: dict[str, int]
    apart: float
    own: dict[str, float]


class Identity(Stored):
    """Distances of a swap's faces from face_id's and from video_id's; the share nearer to face_id's."""

    to_face: float
    to_video: float
    nearer_to_face: float


class Perfect(Stored):
    """What a perfect face of the model's output size, the original's own, has after the same paste."""

    flicker: float | None
    sharpness: float | None
    edge_colour: float | None


class Direction(Stored):
    """The swaps that show face_id in video_id's scenes; a figure that could not be measured is None."""

    video_id: str
    face_id: str
    clips: list[str]
    frames: int
    frames_without_landmarks: int
    identity: Identity | None
    landmark_error: float | None
    eyes: float | None  # share of the frames whose eyes are as open as the original's
    colour_error: float | None
    flicker: float | None
    sharpness: float | None
    edge_colour: float | None
    perfect: Perfect | None

    @property
    def of_perfect(self) -> float | None:
        """The sharpness as a share of a perfect face's."""
        best = self.perfect.sharpness if self.perfect else None
        return self.sharpness / best if self.sharpness is not None and best else None


class Evaluation(Stored):
    """How good one training's swaps are: reconstruction by person, an entry a direction."""

    stage = "evaluate"
    keyed: ClassVar = dict.fromkeys(("reconstruction", "references.faces", "references.own"), "pair")

    model: str
    pair: tuple[str, str]
    computed_on: Annotated[dict[str, Any], OPEN]  # hashes of the files and the config's keys, for people
    reconstruction: dict[str, Reconstruction]
    references: References | None
    swaps: list[Direction]

    @model_validator(mode="after")
    def _of_pair(self) -> "Evaluation":
        for place, swap in enumerate(self.swaps):
            if sorted((swap.video_id, swap.face_id)) != sorted(self.pair):
                raise ValueError(f"swaps.{place} is of other people than pair")
        return self
