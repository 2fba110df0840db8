"""Frames through a lossy codec and back, in memory."""

import io

import av
import cv2
import numpy as np

RATE = 25  # frames per second, for codecs that ask


def recode(frames: np.ndarray, codec: str, **options: object) -> np.ndarray:
    """Frames as they look after coding, uint8 RGB `[n, h, w, 3]`; `options` are the codec's (`crf=23`).

    One thread, 4:2:0: the same frames give the same pixels. Odd sides are padded and cut again.
    """
    height, width = frames.shape[1:3]
    lack = height % 2, width % 2
    stored = io.BytesIO()
    with av.open(stored, "w", format="matroska") as written:
        stream = written.add_stream(codec, rate=RATE, options={name: str(value) for name, value in options.items()})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width + lack[1], height + lack[0], "yuv420p"
        stream.thread_count = 1
        for frame in frames:
            whole = cv2.copyMakeBorder(frame, 0, lack[0], 0, lack[1], cv2.BORDER_REPLICATE)
            planes = cv2.cvtColor(whole, cv2.COLOR_RGB2YUV_I420)  # swscale reads past the edge of odd widths
            written.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        written.mux(stream.encode(None))
    stored.seek(0)
    with av.open(stored, "r") as read:
        read.streams.video[0].thread_count = 1
        coded = [frame.to_ndarray(format="yuv420p") for frame in read.decode(video=0)]
    return np.stack([cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)[:height, :width] for planes in coded])
