"""The settings of detection, tracks and encoding."""

from typing import Literal, Self

from pydantic import Field, model_validator

from dfdm.base.section import Count, FilePath, FileRef, Number, Section, Share, Threads

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]


class FacesConfig(Section):
    """Detection, landmarks and tracks."""

    detector: str = Field(
        "dlib", description="Face detector: dlib, dlib_cnn (small and turned faces; slow), face_alignment"
    )
    predictor: FileRef | None = Field(None, description="68-point shape predictor; dlib and dlib_cnn need it")
    weights: FilePath | FileRef | None = Field(
        None, description="Folder of face_alignment's two weight files; or, as a file, the network of dlib_cnn"
    )
    upsample: int = Field(
        0, strict=True, ge=0, le=3, description="How often a frame is doubled before the search; for small faces"
    )
    confidence: Number | None = Field(None, description="Lowest score of a face; null: the detector's own threshold")
    rotate: list[Literal[0, 90, 180, 270]] = Field(
        [0],
        min_length=1,
        description="Angles by which a frame is turned for the search; the one that shows the surest face counts",
    )
    every: int = Field(
        1,
        strict=True,
        ge=1,
        le=32,
        description="The detector looks at one frame in so many; between them faces that stay are followed",
    )
    keep: Literal["largest", "nearest", "person"] = Field(
        "nearest",
        description="Which of several faces is followed in a frame; person: the one most like the person's `picture`",
    )
    person_distance: Number | None = Field(
        0.6,
        gt=0,
        description="Faces further apart in `evaluate.identity`'s eyes are two people; null: not compared",
    )
    on_missing: Literal["stop", "leave_out"] = Field(
        "stop", description="A scene that shows no face: stop, before any training, or leave it out of the manifests"
    )
    cut_threshold: Share = Field(0.16, description="A cut is where more than this share of the luma histogram changes")
    max_gap: Count = Field(5, description="Frames without the face after which a new segment of the track starts")

    @model_validator(mode="after")
    def _upright(self) -> Self:
        if self.every > 1 and self.rotate != [0]:
            raise ValueError(
                "faces.every above 1 follows upright faces alone; leave faces.rotate at [0], or every at 1"
            )
        return self


class EncodeConfig(Section):
    """H.264 through libx264; the crf 0 master is always made, every other quality is encoded from it."""

    preset: Preset = Field("medium", description="Preset of x264: slower ones make smaller files")
    threads: Threads = 1
