"""Frames packed one by one, without loss: each can be read alone, and two packings give equal bytes."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal

import av
import numpy as np
from av.codec import CodecContext

from dfdm.base.errors import DfdmError

Codec = Literal["utvideo", "ffv1", "raw"]
_OPTIONS = {"utvideo": {"pred": "median"}, "ffv1": {"level": "1", "coder": "0", "g": "1"}}
_RATE = Fraction(1, 25)  # a codec wants one, no frame keeps it


class Packer:
    """Packs I420 frames, uint8 [side * 3 / 2, side], of an even side.

    `about` is what `Unpacker` needs to know, plain values: codec, side, and the codec's own head.
    """

    def __init__(self, codec: Codec, side: int) -> None:
        self._context: Any = None
        self.about: dict[str, Any] = {"codec": codec, "side": side}
        if codec != "raw" and side:
            self._context = CodecContext.create(codec, "w")
            self._context.width = self._context.height = side
            self._context.pix_fmt, self._context.time_base = "yuv420p", _RATE
            self._context.options, self._context.thread_count = _OPTIONS[codec], 1
            self._context.open()
            head = self._context.extradata
            self.about |= {"tag": self._context.codec_tag, "head": head.hex() if head else ""}
        self._unpacker = Unpacker(self.about)

    def pack(self, frames: Iterable[np.ndarray]) -> Iterator[bytes]:
        """Each frame's bytes; DfdmError where one does not come back bit for bit."""
        for planes in frames:
            if self._context is None:
                yield planes.tobytes()
                continue
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.time_base = _RATE
            (packet,) = self._context.encode(frame)
            packed = bytes(packet)
            if not np.array_equal(self._unpacker.unpack(packed), planes):
                raise DfdmError(f"{self.about['codec']} of this build of PyAV loses pixels; set crops.codec: raw")
            yield packed


class Unpacker:
    """Gives back what a `Packer` packed, by its `about`."""

    def __init__(self, about: dict[str, Any]) -> None:
        self._side = side = int(about["side"])
        self._context: Any = None
        if about["codec"] != "raw" and side:
            context: Any = CodecContext.create(about["codec"], "r")
            context.width = context.height = side
            context.pix_fmt, context.codec_tag, context.thread_count = "yuv420p", about["tag"], 1
            if about["head"]:
                context.extradata = bytes.fromhex(about["head"])
            self._context = context

    def unpack(self, packed: bytes) -> np.ndarray:
        """A frame, uint8 [side * 3 / 2, side]."""
        if self._context is None:
            return np.frombuffer(packed, np.uint8).reshape(self._side * 3 // 2, self._side)
        (frame,) = self._context.decode(av.Packet(packed))
        return frame.to_ndarray()
