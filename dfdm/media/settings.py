"""The settings of detection, tracks and encoding."""

from typing import Annotated, Literal

from pydantic import Field

from dfdm.base.section import Count, FileRef, Section, Share


class FacesConfig(Section):
    """Detection, landmarks and tracks."""

    detector: str = "dlib"
    predictor: FileRef | None = None  # dlib's 68-point shape predictor
    weights: str | None = None  # folder with face_alignment's two weight files
    upsample: Annotated[int, Field(ge=0, le=3)] = 0
    confidence: float | None = None  # None: the detector's own threshold
    keep: Literal["largest", "nearest"] = "nearest"
    cut_threshold: Share = 0.35  # share of the luma histogram that changes at a cut
    max_gap: Count = 5  # frames without the face after which a new segment starts


class EncodeConfig(Section):
    """H.264 through libx264; the crf 0 master is always made, every other quality is encoded from it."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] = (
        "medium"
    )
    threads: Count = 1  # changes the bytes, so it is a config value
