"""The frames of a video, wherever they are: a packed crop file or a folder of pictures."""

from pathlib import Path

import numpy as np

from dfdm.dataset.crops import CropReader
from dfdm.dataset.pictures import FrameFolder

# A video's frames: how many, which (`frame_index` int32 [n]), and any of them as RGB uint8 [k, h, w, 3]. `landmarks`
# are float32 [n, 68, 2] in the frames' pixels, None where they are not known. `frames` may refuse frames of several
# sizes together (a folder of pictures may hold such); one frame at a time is always given.
Frames = CropReader | FrameFolder


def open_frames(path: Path) -> Frames:
    """The frames of a crop file or of a folder of pictures; DfdmError for anything else."""
    return FrameFolder(path) if path.is_dir() else CropReader(path)


def face_centre(landmarks: np.ndarray | None) -> tuple[float, float] | None:
    """x and y of the face's middle: the median over the landmarks' boxes (`[n, 68, 2]`); None where not known."""
    if landmarks is None or not len(landmarks):
        return None
    x, y = np.median((landmarks.min(1) + landmarks.max(1)) / 2, axis=0)
    return float(x), float(y)
