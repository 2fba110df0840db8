"""A folder of numbered pictures as the frames of a video: `Video12/Frame1.png`, `Frame2.png` ..."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from dfdm.base.errors import DfdmError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_NUMBER = re.compile(r"(\d+)$")


def read_picture(path: Path) -> np.ndarray:
    """One picture as RGB, uint8 `[h, w, 3]`, whatever its mode: alpha is dropped, 16 bits keep their upper 8.

    Raises DfdmError for a file that is missing, is not a picture, or ends too early.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip at 255
                grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
                return np.repeat(grey[:, :, None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise DfdmError(f"{path} does not exist; restore it or collect the data again") from None
    except UnidentifiedImageError:
        raise DfdmError(f"{path} is not a picture; replace or remove it") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's for damaged files
        raise DfdmError(f"{path} is damaged ({error}); replace it") from None


class FrameFolder:
    """The pictures of a folder in the order of their numbers (1, 2, 10); the numbers must follow each other.

    Files whose suffix is not a picture's, and hidden ones, are not frames (`others`). Raises DfdmError where a number
    is missing or given twice, or where a picture has none. Contents are read by `frames` alone.
    """

    landmarks = None  # not known
    clip = None  # all frames are there

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DfdmError(f"{path} is not a folder; restore it or collect the data again")
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        self.path = path
        self.others = [file for file in files if file.suffix.lower() not in SUFFIXES]
        numbered: dict[int, Path] = {}
        for file in files:
            if file in self.others:
                continue
            if not (match := _NUMBER.search(file.stem)):
                raise DfdmError(f"{file} has no frame number at the end of its name; rename or remove it")
            if (number := int(match[1])) in numbered:
                raise DfdmError(f"{file} and {numbered[number].name} are both frame {number}; remove one")
            numbered[number] = file
        if numbered and len(numbered) != max(numbered) - min(numbered) + 1:
            lost = sorted(set(range(min(numbered), max(numbered) + 1)) - numbered.keys())
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise DfdmError(f"{path} has no frame {lost[0]}{more}; restore it or cut the video there")
        self.files = [numbered[number] for number in sorted(numbered)]
        self._numbers = np.array(sorted(numbered), np.int32)

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.files)

    @property
    def frame_index(self) -> np.ndarray:
        """The number of each frame, int32 [n]."""
        return self._numbers

    def frames(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Some frames as RGB, uint8 `[k, h, w, 3]`; `indices` count from 0. DfdmError where their sizes differ."""
        pictures = [read_picture(self.files[int(index)]) for index in indices]
        if len({picture.shape for picture in pictures}) > 1:
            raise DfdmError(f"{self.path} has frames of several sizes; read them one at a time")
        return np.stack(pictures)  # [k, h, w, 3]
