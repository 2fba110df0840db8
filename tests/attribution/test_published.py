"""A checkpoint as the published DMA-STA code saves it becomes a classifier."""

from pathlib import Path

import pytest
import torch

from attribution.inference import load
from attribution.models import dma_sta
from dfdm.base.files import sha256
from tests.commands import ran


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_classifier_is_the_network_that_was_saved(prefix: str, tmp_path: Path) -> None:
    checkpoint, out = tmp_path / "1_0.7.pth", tmp_path / "model.safetensors"
    network = dma_sta.DmaSta(5, 18, 10).eval()
    torch.save({prefix + dma_sta.published_name(key): value for key, value in network.state_dict().items()}, checkpoint)
    printed = ran("attribution", "import", checkpoint, "--depth", "18", "--out", out)
    count = len(network.state_dict())
    assert printed.startswith(f"{out}: all {count} entries; taken as given: classes faceswap, lightweight, iae, dfaker")
    assert "depth 18, clip 10, resized to 256 px, middle 224 px, RGB mean (0.643, 0.466, 0.387)" in printed
    read = load(out, torch.device("cpu"))
    assert read.classes == ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]
    assert read.about["imported"] == sha256(checkpoint)
    assert not read.settings.real
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in read.model.state_dict().items())
    clips = torch.randn(2, 10, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(read.model(clips), network(clips), atol=1e-5, rtol=0)
