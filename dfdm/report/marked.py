"""Copies of the swaps for watching: SYNTHETIC below every frame. The data set's own files have no such strip.

A strip below hides nothing of the picture, and none is taught by it: classifiers read the data set's files.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL
from dfdm.base.records import checked
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.encoding import provenance_tags, write_quality
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import VideoRecord, of_encoded
from dfdm.report.pictures import stamp

CRF = 17  # hardly to be told from the master


def write_marked(cfg: Config, results: Path, folder: Path) -> Iterator[Path]:
    """Write `<name>_SYNTHETIC.mp4` of every swap into a folder, each given when it is whole.

    Those that are newer than their master are left as they are. DfdmError for a master that is not there or not what
    was written.
    """
    layout = Layout(str(results))
    folder.mkdir(parents=True, exist_ok=True)
    for video in (one for one in videos_of(cfg, "dataset") if one.crf == 0 and one.name.model != REAL):
        name = video.name
        master = Path(layout.video(name.clip, name.model, 0))
        if not master.is_file():
            raise DfdmError(f"{master} does not exist; run the workflow to its end first")
        out = folder / f"{name}_SYNTHETIC.mp4"
        if not out.exists() or out.stat().st_mtime < master.stat().st_mtime:
            checked(master)
            _write(cfg, out, master, VideoRecord.read(Path(layout.source(name.scene_key))))
        yield out


def _write(cfg: Config, out: Path, master: Path, record: VideoRecord) -> None:
    shown = of_encoded(record)
    sidecar = Sidecar.read(master.with_suffix(".json"))
    tags = {"name": sidecar.name, "model": sidecar.model, "statement": sidecar.statement}
    marked = {"synthetic": sidecar.synthetic, "encoded": f"for watching: crf {CRF} of the master, with a strip below"}
    encode(out, master, (shown.width, shown.height), cfg.encode, provenance_tags({**tags, **marked}))


def encode(out: Path, master: Path, size: tuple[int, int], settings: EncodeConfig, metadata: dict[str, str]) -> None:
    """Encode a master of a size (width, height) with the strip below every frame."""
    with TemporaryDirectory(prefix="dfdm-marked-") as scratch:
        strip = Path(scratch, "strip.png")
        cv2.imwrite(str(strip), _strip(*size)[:, :, ::-1])
        write_quality(out, master, CRF, settings, metadata, below=strip)


def _strip(width: int, height: int) -> np.ndarray:
    """The stamp of a frame alone, of an even height: uint8 RGB `[h, width, 3]`."""
    strip = stamp(np.zeros((height, width, 3), np.uint8), "face swap")[height:]
    return strip[: len(strip) // 2 * 2]
