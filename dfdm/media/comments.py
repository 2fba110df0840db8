"""A picture's comment: the JSON that a video has in its tag `comment`, in the picture's own metadata."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_HEADER = len(PNG) + 25  # PNG's signature, and IHDR, which is always first and 25 bytes long
_MOST = 65533  # bytes of a comment of JPEG


def commented(picture: bytes, mark: Mapping[str, Any]) -> bytes:
    """A PNG (an iTXt `Comment` after its header) or JPEG (a COM segment) with a mark; its pixels stay.

    Raises ValueError for another kind of file, and for a mark that is too large.
    """
    text = json.dumps(mark, sort_keys=True, ensure_ascii=False).encode()
    if picture.startswith(PNG):
        chunk = b"iTXtComment\0\0\0\0\0" + text
        packed = len(text + b"Comment\0\0\0\0\0").to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
        return picture[:_HEADER] + packed + picture[_HEADER:]
    if not picture.startswith(JPEG):
        raise ValueError("this is neither a PNG nor a JPEG")
    if len(text) > _MOST:
        raise ValueError(f"the mark has {len(text)} bytes, and a JPEG takes {_MOST}")
    return JPEG + b"\xff\xfe" + (len(text) + 2).to_bytes(2) + text + picture[len(JPEG) :]
