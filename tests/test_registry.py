"""Autoencoders, classifiers and detectors are found by name, in the package and in what is installed next to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from distribution import install

import generators.models
from dfdm.base.errors import DfdmError
from dfdm.base.registry import Registry
from dfdm.catalogue import keys
from dfdm.catalogue.config import load

ROOT = Path(__file__).parent.parent
GROUP = "dfdm.generators"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of autoencoders that has not looked around yet, with tmp_path on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    found = Registry("autoencoder", "Model", GROUP, generators.models.__name__, generators.models.__path__)
    monkeypatch.setattr(generators.models, "_REGISTRY", found)
    for name in ("names", "package"):
        monkeypatch.setattr(generators.models, name, getattr(found, name))
    return found


def test_an_installed_package_adds_a_part_by_its_name(registry, tmp_path):
    install(tmp_path, "dfdm-mine", {"mine_a": "class Model:\n    pass\n"}, {GROUP: {"mine": "mine_a"}})
    assert registry.names() == ["dfaker", "dfl_h128", "faceswap", "iae", "lightweight", "mine"]
    assert registry.load("mine").__module__ == "mine_a"
    assert registry.load("iae").__module__ == "generators.models.iae"


def test_listing_imports_neither_torch_nor_any_part(tmp_path):
    install(
        tmp_path,
        "dfdm-mine",
        {"mine_b": "raise SystemExit('imported')\n"},
        {group: {"mine": "mine_b"} for group in (GROUP, "dfdm.classifiers", "dfdm.detectors")},
    )
    code = (
        "import sys, generators.models, attribution.models, dfdm.media.detectors as detectors\n"
        "rooms = (generators.models, attribution.models, detectors)\n"
        "print(*['mine' in room.names() for room in rooms], 'torch' in sys.modules, 'mine_b' in sys.modules)"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.split() == ["True", "True", "True", "False", "False"], done.stderr


def test_a_name_of_this_project_and_of_a_package_is_one_sentence(registry, tmp_path):
    install(tmp_path, "dfdm-mine", {}, {GROUP: {"iae": "mine_c"}})
    with pytest.raises(
        DfdmError, match=r"two autoencoders are called 'iae', one of this project and one of .* dfdm-mine"
    ):
        registry.names()


def test_a_name_of_two_packages_is_one_sentence_with_both(registry, tmp_path):
    for name in ("dfdm-mine", "dfdm-yours"):
        install(tmp_path, name, {}, {GROUP: {"ours": "mine_d"}})
    with pytest.raises(DfdmError, match="two autoencoders are called 'ours'") as raised:
        registry.load("ours")
    assert all(f"the installed package {name} 0.1.0" in str(raised.value) for name in ("dfdm-mine", "dfdm-yours"))


@pytest.mark.parametrize("name", ["Mine", "two__lines", "my-model", "real"])
def test_a_name_that_no_video_could_carry_is_refused(registry, tmp_path, name):
    install(tmp_path, "dfdm-mine", {}, {GROUP: {name: "mine_e"}})
    with pytest.raises(DfdmError, match=f"the autoencoder '{name}' of the installed package dfdm-mine 0.1.0 needs an"):
        registry.names()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import nonesuch\n", "ModuleNotFoundError: No module named 'nonesuch'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("class Modell:\n    pass\n", "AttributeError: module 'mine_f' has no attribute 'Model'"),
        ("Model = 3\n", "TypeError: Model is not a class or function"),
    ],
)
def test_a_part_that_cannot_be_used_is_one_sentence_that_names_its_package(registry, tmp_path, monkeypatch, text, why):
    monkeypatch.delitem(sys.modules, "mine_f", raising=False)
    install(tmp_path, "dfdm-mine", {"mine_f": text}, {GROUP: {"mine": "mine_f"}})
    with pytest.raises(DfdmError) as raised:
        registry.load("mine")
    assert str(raised.value) == (
        f"the autoencoder 'mine' of the installed package dfdm-mine 0.1.0 cannot be used ({why}); correct the package "
        "or uninstall it"
    )


def test_an_installed_models_version_determines_its_results_and_an_own_ones_does_not(registry, tmp_path, demo):
    install(tmp_path, "dfdm-mine", {"mine_g": "class Model:\n    pass\n"}, {GROUP: {"mine": "mine_g"}})
    cfg = load({**demo.model_dump(exclude_none=True, mode="json"), "models": {"mine": {}, "iae": {}}})
    assert keys.train_keys(cfg, "mine")["package"] == keys.state_keys(cfg, "mine")["package"] == "dfdm-mine 0.1.0"
    assert "package" not in keys.train_keys(cfg, "iae")
