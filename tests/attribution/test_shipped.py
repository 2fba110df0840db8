"""The classifier that the package ships: what it knows and what its card says."""

import torch

from attribution.inference import load
from attribution.shipped import MODEL
from dfdm.catalogue.config import MODELS


def test_it_knows_the_five_models_and_real_videos_and_says_what_it_rests_on():
    trained = load(MODEL, torch.device("cpu"))
    assert trained.classes == [*MODELS, "real"]
    assert trained.settings.model == "linear_dct"
    assert trained.about["learned"]
    assert trained.about["open_set"]["real"]["people"] == 5
    assert MODEL.stat().st_size < 1_000_000
    card = MODEL.with_name("README.md").read_text()
    for fact in ("## Trained on", "## Figures", "## Limits", f"{trained.about['parameters']:,}"):
        assert fact in card
