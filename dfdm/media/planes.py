"""A decoded frame as 8-bit I420 planes: upright, even-sized, converted as ffmpeg converts."""

from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from dfdm.base.errors import DfdmError

UNSPECIFIED = 2  # H.273's number for "not said", of matrix, primaries and transfer alike
_STORED = {"yuv420p", "yuvj420p"}  # formats whose planes are taken as they are
_TURNS = {(1.0, 0.0): 0, (0.0, -1.0): 1, (-1.0, 0.0): 2, (0.0, 1.0): 3}  # where a row of pixels goes: quarters
_FILTERS = {0: [], 1: ["transpose=cclock"], 2: ["hflip", "vflip"], 3: ["transpose=clock"]}  # np.rot90's turns


def split_planes(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y [h, w], U [h / 2, w / 2] and V of an I420 array, as views of it."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    flat = planes.reshape(-1)
    size = height * width
    half = (height // 2, width // 2)
    return planes[:height], flat[size : size * 5 // 4].reshape(half), flat[size * 5 // 4 :].reshape(half)


def changed_pixels(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where two I420 frames [H * 3 / 2, W] differ, bool [H, W]: in a pixel's luma, or in its 2 x 2 block's chroma."""
    luma, u, v = (a != b for a, b in zip(split_planes(first), split_planes(second)))
    return luma | (u | v).repeat(2, 0).repeat(2, 1)


def blocks_of(pixels: np.ndarray) -> np.ndarray:
    """The 2 x 2 blocks, chroma's grid, in which any pixel of bool [H, W] is set: bool [H / 2, W / 2]."""
    rows = pixels[::2] | pixels[1::2]
    return rows[:, ::2] | rows[:, 1::2]


def black_and_white(pixels: np.ndarray) -> np.ndarray:
    """bool [H, W] of even sizes as an I420 frame: white where it holds, else black."""
    planes = np.full((len(pixels) * 3 // 2, pixels.shape[1]), 128, np.uint8)
    planes[: len(pixels)] = np.where(pixels, 255, 0)
    return planes


def is_white(planes: np.ndarray) -> np.ndarray:
    """`black_and_white` undone."""
    return split_planes(planes)[0] > 127


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """How a decoded frame is brought upright: mirrored left to right first, then turned so many quarters, as np.rot90.

    DfdmError for a display matrix that is none of these eight.
    """
    beside: Any = frame.side_data
    found = beside.get(Type.DISPLAYMATRIX)
    if found is None:
        return 0, False
    a, b, _, c, d = (value / 65536 for value in np.frombuffer(found, "<i4")[:5].tolist())
    mirrored = a * d - b * c < 0
    across, down = (-a, -b) if mirrored else (a, b)
    if (across, down) not in _TURNS or (abs(c), abs(d)) != (abs(b), abs(a)):
        raise DfdmError(
            f"the frame's display matrix ({a:g}, {b:g}, {c:g}, {d:g}) is no turn by quarters; encode the video again"
        )
    return _TURNS[across, down], mirrored


def full_range(frame: VideoFrame) -> bool | None:
    """Whether a frame's levels span 0 to 255; None where it does not say."""
    return frame.format.name.startswith("yuvj") or {1: False, 2: True}.get(int(frame.color_range))


class Upright:
    """Brings the frames of one video upright, into 8-bit yuv420p.

    Frames that are yuv420p already keep their samples. Others go through ffmpeg's scaler with exact rounding and full
    chroma, after the turn, as `ffmpeg -vf scale=flags=accurate_rnd+full_chroma_int,format=yuv420p` does; YUV keeps
    its matrix and range, RGB and grey become what ffmpeg makes of them.
    """

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None

    def converted(self, frame: VideoFrame) -> VideoFrame:
        """A frame as yuv420p with its matrix and range after the conversion, which turns it upright too."""
        if frame.format.name in _STORED:
            return frame
        if self._graph is None:
            self._graph = _graph(frame)
        self._graph.vpush(frame)
        made = self._graph.vpull()
        if _is_yuv(frame):  # the scaler was told to keep them, the filter's link does not say so
            made.colorspace, made.color_range = frame.colorspace, frame.color_range
        return made

    def planes(self, frame: VideoFrame) -> np.ndarray:
        """A frame as I420 uint8 [height * 3 / 2, width], odd sizes padded by repeating the edge."""
        made = self.converted(frame)
        turns, mirrored = orientation(frame) if made is frame else (0, False)
        planes = []
        for plane in made.planes:
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            rows = rows[:, : plane.width]
            planes.append(np.rot90(rows[:, ::-1] if mirrored else rows, turns))
        luma = planes[0]
        luma = np.pad(luma, [(0, luma.shape[0] % 2), (0, luma.shape[1] % 2)], mode="edge")
        height, width = luma.shape
        out = np.empty((height * 3 // 2, width), np.uint8)
        for target, source in zip(split_planes(out), (luma, planes[1], planes[2])):
            target[:] = source
        return out


def _is_yuv(frame: VideoFrame) -> bool:
    return not frame.format.is_rgb and not frame.format.has_palette and len(frame.format.components) > 2


def _graph(frame: VideoFrame) -> Any:
    """The filters that turn a frame like this one upright and into yuv420p."""
    graph: Any = av.filter.Graph()
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    turns, mirrored = orientation(frame)
    keep = ""
    if _is_yuv(frame):  # told by name: the frame's tags do not reach the filters' negotiation
        keep += f":in_range={int(frame.color_range)}:out_range={int(frame.color_range)}"
        if int(frame.colorspace) != UNSPECIFIED:
            keep += f":in_color_matrix={int(frame.colorspace)}:out_color_matrix={int(frame.colorspace)}"
    scale = f"scale=flags=bicubic+accurate_rnd+full_chroma_int{keep}"
    for words in [*["hflip"][: int(mirrored)], *_FILTERS[turns], scale, "format=yuv420p"]:
        name, _, options = words.partition("=")
        following = graph.add(name, options or None)
        last.link_to(following)
        last = following
    last.link_to(sink := graph.add("buffersink"))
    assert sink is not None
    graph.configure()
    return graph
