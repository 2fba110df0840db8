"""The loop that DMA-STA is measured against is the same network, and its benchmark has a line for every way."""

import pytest
import torch

from attribution import models
from attribution.models import blocks
from benchmarks import classifiers
from dfdm.base.compute import amp_dtype

CPU = torch.device("cpu")


@torch.no_grad()
def test_the_loop_is_the_same_network_as_the_folded_and_fused_one():
    torch.manual_seed(0)
    model = models.build("dma_sta", 5, 18, 3).eval()
    clips = classifiers.pictures(32, 3, 2, CPU)
    looped = classifiers.looped(model, clips)
    tolerance = 1e-4 * looped.abs().max().item()
    assert torch.allclose(model(clips), looped, atol=tolerance)
    assert torch.allclose(blocks.fused(model)(clips), looped, atol=tolerance)


@pytest.mark.long
def test_the_loops_table_has_a_line_for_every_chunk_and_for_training():
    rows = list(classifiers.loop_rows(18, 32, 2, 2, [1, 8], 0.0, CPU))
    halves = [row for row in rows if classifiers.HALF in row["ours"]]
    assert len(halves) == (2 if amp_dtype(CPU) else 0)
    rows = [row for row in rows if row not in halves]
    assert [(row["pass"], row["ours"]) for row in rows] == [
        ("inference", "chunks of 1"),
        ("inference", "chunks of 8 (own)"),
        ("training", "all frames (own)"),
    ]
    for row in rows:  # one round is counted, so the median ratio is that of the medians
        assert row["times_loop"] == pytest.approx(row["loop_s"] / row["ours_s"])
    assert blocks.frames_at_once(CPU) == 8  # put back
