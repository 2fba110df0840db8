"""A checkpoint of the published DMA-STA code as a classifier's file: all of its entries, or none."""

from collections.abc import Sequence
from pathlib import Path

import torch

from attribution.models.blocks import read_state
from attribution.models.dma_sta import DmaSta, from_published
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.tensorfile import write_weights


def import_file(path: Path, classes: Sequence[str], settings: AttributionConfig, out: Path) -> int:
    """Write the classifier's file (attribution.inference.load) `out` from a state dict `path`; how many entries it has.

    `classes` are in the order of the head's outputs. DfdmError, one sentence, where an entry is missing, is not the
    network's, or does not fit.
    """
    given = read_state(path, "")
    with torch.device("meta"):
        model = DmaSta(len(classes), settings.depth, settings.clip)
    try:
        state = from_published(given, model)
    except DfdmError as error:
        raise DfdmError(
            f"{path} is not a DMA-STA of depth {settings.depth}, clip {settings.clip} and {len(classes)} classes: "
            f"{error}; nothing of it is taken: give the whole checkpoint, and the options it was trained with"
        ) from None
    about = {"run": f"{settings.model}, imported", "classes": [*classes], "settings": settings.model_dump()}
    arrays = {name: value.contiguous().numpy() for name, value in state.items()}
    write_weights(out, arrays, {**about, "imported": sha256(path)})
    return len(state)
