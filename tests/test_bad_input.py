"""Bad input, one case a place and a kind: one sentence on stderr, status 2, and every file as it was.

`before` is how the case went when it was found: `ok` (as it should), `traceback`, or `accepted` without a word.
"""

import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from dfdm.base import records
from dfdm.catalogue.config import Config
from dfdm.commands import cli
from dfdm.media.encoding import write_master
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import probe, read_planes
from tests import sandbox
from tests.commands import dfdm
from tests.generators.original_files import write_h5, write_keras
from tests.sandbox import TRAINED, files

PLACES = {
    "record": "results/sources/id0_0000.json",
    "track": "results/faces/id0_0000.npz",
    "weights": "results/train/id0_id1/iae/model.safetensors",
    "loss": "results/train/id0_id1/iae/loss.csv",
    "master": "results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4",
    "dfaker": "results/dataset/DFDM_crf0/dfaker/id0_id1_0000_dfaker.mp4",
    "real": "results/dataset/DFDM_crf0/real/id0_0000_real.mp4",
    "sidecar": "results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json",
    "lossy": "results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4",
    "crops": "results/crops/crf23/iae/id0_id1_0000_iae.safetensors",
    "manifest": "results/manifests/crf23.parquet",
    "dataset": "results/manifests/dataset.parquet",
    "changed": "results/masks/iae/id0_id1_0000_iae.mp4",
    "blend": "results/masks/iae/id0_id1_0000_iae.safetensors",
    "region": "results/regions/id0_id1_0000.safetensors",
    "classifier": f"{TRAINED}/model.safetensors",
    "log": f"{TRAINED}/log.csv",
    "scores": f"{TRAINED}/test_crf23/scores.json",
    "predictions": f"{TRAINED}/test_crf23/predictions.parquet",
    "speed": f"{TRAINED}/speed.json",
    "tune": "results/attribution/meso_inception4/tune.json",
    "comparison": "results/attribution/comparison.json",
    "controls": "results/controls/meso_inception4/crf23.json",
    "evaluation": "results/evaluate/id0_id1/iae.json",
    "benchmark": "results/benchmarks/train/id0_id1.tsv",
}
Change = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One bad input: where and what it is, the command that meets it, and what the command must say."""

    where: str
    what: str
    command: str
    changes: tuple[Change, ...]
    before: Literal["ok", "traceback", "accepted"]
    says: str
    status: int


def bad(where: str, what: str, command: str, *changes: Change, says: str, before: Any = "ok", status: int = 2) -> Case:
    return Case(where, what, command, changes, before, says, status)


def key(path: str, value: Any) -> Change:
    """Set a key of the config, `train.lr`."""

    def change() -> None:
        values = yaml.safe_load(Path("config.yaml").read_text())
        *above, last = path.split(".")
        inside = values
        for part in above:
            inside = inside.setdefault(part, {})
        inside[last] = value
        Path("config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))

    return change


def write(path: str, content: str | bytes) -> Change:
    """Replace a file."""

    def change() -> None:
        place = Path(path.format_map(PLACES))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def config(content: str) -> Change:
    """Add lines to the config."""
    return lambda: Path("config.yaml").write_text(Path("config.yaml").read_text() + content)


def cut(path: str, size: int) -> Change:
    """Cut a file off."""
    place = path.format_map(PLACES)
    return lambda: os.truncate(place, size)


def js(path: str, at: str, value: Any) -> Change:
    """Set a value of a JSON file, `figures.accuracy.low`; None of a list's place is its number."""

    def change() -> None:
        place = Path(path.format_map(PLACES))
        values = json.loads(place.read_text())
        *above, last = [int(part) if part.isdecimal() else part for part in at.split(".")]
        inside = values
        for part in above:
            inside = inside[part]
        inside[last] = value
        place.write_text(json.dumps(values))

    return change


def table(path: str, edit: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Change:
    """Edit a parquet file by hand."""

    def change() -> None:
        place = path.format_map(PLACES)
        rows = pd.read_parquet(place)
        edited = edit(rows)
        (rows if edited is None else edited).to_parquet(place)

    return change


def copy(source: str, target: str) -> Change:
    """Put a copy of a file somewhere."""

    def change() -> None:
        place = Path(target.format_map(PLACES))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source.format_map(PLACES), place)

    return change


def npz(path: str, **arrays: Any) -> Change:
    """Replace arrays of an .npz file; None: leave one out."""

    def change() -> None:
        place = path.format_map(PLACES)
        with np.load(place) as file:
            values: dict[str, Any] = {name: file[name] for name in file.files}
        values |= {name.replace("__", "/"): value for name, value in arrays.items()}
        np.savez(place, **{name: value for name, value in values.items() if value is not None})

    return change


def about(path: str, **changed: Any) -> Change:
    """Change what a safetensors file says of itself, with a right hash; `...`: leave one out."""

    def change() -> None:
        from safetensors import safe_open

        from dfdm.base.tensorfile import write_tensors, write_weights

        place = path.format_map(PLACES)
        with safe_open(place, framework="np") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            values = json.loads(file.metadata()["dfdm"])
        hashed = values.pop("sha256", None)
        values = {name: value for name, value in {**values, **changed}.items() if value is not ...}
        (write_weights if hashed else write_tensors)(Path(place), tensors, values)

    return change


def folder(path: str) -> Change:
    return lambda: Path(path).mkdir(parents=True)


def made_of(path: str, **changed: Any) -> Change:
    """Write the record of a file by hand."""
    place = records.place(path.format_map(PLACES))
    return write(str(place), json.dumps({"stage": "faces", "size": 1, "sha256": "0" * 64, **changed}))


def huge_npz() -> None:
    """An .npz whose header claims 10^11 floats."""
    with zipfile.ZipFile("huge.npz", "w") as file:
        header = str({"descr": "<f4", "fortran_order": False, "shape": (10**11,)}).ljust(117) + "\n"
        file.writestr("encoder/0.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())


def model_file(path: str, edit: Callable[[dict[str, list[np.ndarray]]], object] = dict, **written: Any) -> Change:
    """A model file of the original with the arrays of iae.npz, edited."""

    def change() -> None:
        with np.load("iae.npz") as file:
            parts: dict[str, list[np.ndarray]] = {}
            for name in file.files:  # each part's in order
                parts.setdefault(name.partition("/")[0], []).append(file[name])
        edit(parts)
        (write_keras if path.endswith(".keras") else write_h5)(Path(path), parts, **written)

    return change


def checkpoint(**entries: Any) -> Change:
    """A checkpoint of the published DMA-STA code, of depth 18; `_` stands for a dot, None: leave an entry out."""

    def change() -> None:
        import torch

        from attribution.models.dma_sta import DmaSta, published_name

        state = {published_name(key): value for key, value in DmaSta(5, 18, 10).state_dict().items()}
        state |= {name.replace("_", "."): value() if callable(value) else value for name, value in entries.items()}
        torch.save({name: value for name, value in state.items() if value is not None}, "c.pth")

    return change


def zeros(*shape: int) -> Any:
    import torch

    return torch.zeros(shape)


def member(path: str, name: str, content: bytes) -> Change:
    """Replace a member of a zip, compressed."""

    def change() -> None:
        with zipfile.ZipFile(path) as file:
            members = {one: file.read(one) for one in file.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for one, old in members.items():
                file.writestr(one, content if one == name else old)

    return change


def huge_h5() -> None:
    """An array that claims 10^11 floats without storing one."""
    with h5py.File("iae.h5", "r+") as file:
        group = file["model_weights/encoder"]
        name = group.attrs["weight_names"][0]
        del group[name]
        group.create_dataset(name, (10**11,), np.float32, chunks=(10**6,))


def laughs() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines) + "\n"


def line(path: str, old: str, new: str) -> Change:
    """Replace a text in a file."""
    place = Path(path.format_map(PLACES))

    def change() -> None:
        text = place.read_text()
        assert old in text
        place.write_text(text.replace(old, new))

    return change


LONG = "x" * 300
PERSON = {"licence": "made up", "consent": "nobody is shown", "scenes": {"0000": {"path": "id0_0000.mp4"}}}
TRAIN = "train --model iae --pair id0 id1 --tracks {track} results/faces/id1_0000.npz --out new/model.safetensors"
RENDER = "render --track {track} --checkpoint {weights} --out new/DFDM_crf0/iae/id0_id1_0000_iae.mp4"
ENCODE = "encode --master {master} --track {track} --out new/DFDM_crf23/iae/id0_id1_0000_iae.mp4"
CROPS = "crops --video {lossy} --track {track} --out new.safetensors"
FACES = "faces --record {record} --out new.npz"
EVALUATE = (
    "evaluate --model iae --pair id0 id1 --tracks {track} results/faces/id1_0000.npz --masters {master} "
    "--checkpoint {weights} --out new.json"
)
REGION = (
    "region --clip id0_id1_0000 --masters {master} {dfaker} --original {real} --track {track} --out new.safetensors"
)
MASKS = "masks --master {master} --original {real} --track {track} --checkpoint {weights} --out new/m.mp4"
ATTR = "attribution train --crf 23 --manifest {manifest} --out new"
SCORE = "attribution score --model {classifier} --crf 23 --manifest {manifest} --out new"
COMPARE = "attribution comparison --out new.json"
CONTROLS = "controls --classifier meso_inception4 --crf 23 --manifest {manifest} --out new.json"
REPORT = "report --out new.html"
IMPORT = "weights import iae.npz --model iae --pair id0 id1 --width 0.03125 --padding zero --out new.safetensors"
KERAS, H5 = (IMPORT.replace("iae.npz", f"iae.{kind}").replace(" --padding zero", "") for kind in ("keras", "h5"))
EXPORT = "weights export {weights} --into iae.keras --out new.keras"
PTH = "attribution import c.pth --depth 18 --out new.safetensors"
PREDICT = "predict videos/id0_0000.mp4 --classifier {classifier}"
RELEASE = "release new --because noise --include id0 id1"
SCAN = "sources scan videos --licence made-up --consent nobody"

# fmt: off
CASES = [
    # the config's file
    bad("config file", "is empty", "check", write("config.yaml", ""),
        says="config.yaml contains no keys; see config.yaml for the form"),
    bad("config file", "is a list", "check", write("config.yaml", "- a\n- b\n"),
        says="config.yaml contains no keys; see config.yaml for the form"),
    bad("config file", "has a tab", "check", config("data:\n\tcrf: 0\n"),
        says="config.yaml is not readable YAML: while scanning for the next token found character that"),
    bad("config file", "is UTF-16", "check", write("config.yaml", "seed: 0".encode("utf-16")),
        says="config.yaml is not readable YAML:"),
    bad("config file", "is binary", "check", write("config.yaml", bytes(range(256))),
        says="config.yaml is not readable YAML:"),
    bad("config file", "is a folder", "check --config videos",
        says="the config videos: Is a directory; correct the path or name another place"),
    bad("config file", "is absent", "check --config none.yaml",
        says="none.yaml does not exist; give a config with --config"),
    bad("config file", "has a name of 300 characters", f"check --config {LONG}",
        says="File name too long; correct the path"),
    bad("config file", "has two documents", "check", config("---\nseed: 1\n"),
        says="config.yaml is not readable YAML: expected a single document in the stream"),
    bad("config file", "gives a key twice", "check", config("device: auto\n"), before="accepted",
        says="config.yaml is not readable YAML: line 73 gives 'device' again, as line 1; keep one of"),
    bad("config file", "gives a key of a section twice", "check", config("render: {smooth: 1, smooth: 2}\n"),
        before="accepted",
        says="config.yaml is not readable YAML: line 73 gives 'smooth' again, as line 73; keep one of"),
    bad("config file", "explodes by anchors", "check", write("config.yaml", laughs()),
        says="config.yaml is not readable YAML: its aliases stand for more than 1,000,000 values;"),
    bad("config file", "contains itself", "check", config("data: &a\n  classes: *a\n"),
        says="config.yaml is not readable YAML: line 73 contains itself by an alias; correct it"),
    bad("config file", "builds a Python object", "check", config("seed: !!python/object/apply:os.getpid []\n"),
        says="config.yaml is not readable YAML: could not determine a constructor for the tag"),
    bad("config file", "is nested 5,000 deep", "check", write("config.yaml", "a: " + "[" * 5000), before="traceback",
        says="config.yaml is not readable YAML: it is nested too deep; correct it"),
    bad("config file", "has a number as a key", "check", config("1: 2\n"),
        says="1: unknown key; remove it or correct its spelling"),
    bad("config file", "has a list as a key", "check", config("? [a, b]\n: 2\n"),
        says="config.yaml is not readable YAML: while constructing a mapping"),
    bad("config file", "is JSON with NaN", "check --config c.json", write("c.json", '{"seed": NaN}'),
        says="c.json: seed: input should be a valid integer"),
    bad("config file", "is JSON nested deep", "check --config c.json", write("c.json", "[" * 100000),
        before="traceback", says="c.json is not readable YAML: it is nested too deep; correct it"),
    bad("config file", "is JSON that gives a key twice", "check --config c.json",
        write("c.json", '{"seed": 1, "seed": 2}'),
        says="c.json is not readable YAML: it gives 'seed' twice; keep one of them; correct it"),
    bad("config file", "has an integer of 5,000 digits", "check", config("seed: " + "9" * 5000 + "\n"),
        says="config.yaml is not readable YAML:"),
    bad("config file", "has a date", "check", key("sources.people.id0.licence", "x"),
        line("config.yaml", "licence: x", "licence: 2020-01-01"),
        says="sources.people.id0.licence: input should be a valid string"),
    # its top
    bad("config", "has an unknown key", "check", key("sead", 1), says="sead: unknown key; did you mean 'seed'?"),
    bad("config seed", "is below 0", "check", key("seed", -1), says="seed: input should be greater than or equal to 0"),
    bad("config seed", "is 10^30", "check", key("seed", 10**30), before="accepted",
        says="seed: input should be less than 9223372036854775808"),
    bad("config seed", "is true", "check", key("seed", True), says="seed: input should be a valid integer"),
    bad("config seed", "is a text", "check", key("seed", "1e3"), says="seed: input should be a valid integer"),
    bad("config device", "is unknown", "check", key("device", "gpu"),
        says="device: input should be 'auto', 'cpu' or 'cuda'"),
    bad("config gpu", "is true", "check", key("gpu", True), before="accepted", says="gpu: should be a number"),
    bad("config gpu", "is 2", "check", key("gpu", 2), says="gpu: input should be 0 or 1"),
    bad("config results", "is /", "check", key("results", "/"), says="results: '/' is no folder for results; name one"),
    bad("config results", "is empty", "check", key("results", ""),
        says="results: '' is no folder for results; name one"),
    bad("config results", "is a file", "check", key("results", "rates.json"), before="accepted",
        says="results 'rates.json': Not a directory; free some space or name another place"),
    bad("config results", "is of an unknown user", "check", key("results", "~nobody-here/x"),
        says="results: '~nobody-here/x' begins with the home of a user who is not here"),
    bad("config results", "names no variable", "check", key("results", "$DFDM_NOT_SET/x"),
        says="results: '$DFDM_NOT_SET/x' names the environment variable $DFDM_NOT_SET, which is not set"),
    bad("config results", "has 300 characters", "check", key("results", LONG), before="traceback",
        says="File name too long; correct the path"),
    bad("config results", "is below a file", "check", key("results", "rates.json/x"), before="accepted",
        says="results 'rates.json/x': Not a directory; free some space or name another place"),
    bad("config results", "has a wildcard", "check", key("results", "{crf}"),
        says="results: '{crf}' contains '{', which Snakemake takes for a pattern; name another folder"),
    bad("config state_dir", "is a number", "check", key("state_dir", 5),
        says="state_dir: input should be a valid string"),
    bad("config state_dir", "is empty", "check", key("state_dir", ""), before="accepted",
        says="state_dir: '' is the name of no file or folder"),
    bad("config scale", "is unknown", "check", key("scale", "small"),
        says="scale: 'small' is not among its scales; known are none"),
    bad("config scale", "is a list", "check", key("scales", {"a": {}}), key("scale", ["a"]), before="traceback",
        says="scale: '['a']' is not among its scales; known are a"),
    bad("config scales", "has an unknown key in a scale that is not chosen", "check",
        key("scales", {"big": {"sead": 1}}), before="accepted",
        says="scales.big.sead: no scale has this key; did you mean 'seed'?"),
    bad("config scales", "names a scale inside", "check", key("scale", "a"),
        key("scales", {"a": {"scale": "b"}, "b": {}}), before="accepted",
        says="scales.a.scale: no scale has this key; remove it"),
    bad("config crf", "is above 51", "check", key("crf", [0, 52]),
        says="crf.1: input should be less than or equal to 51"),
    bad("config crf", "is below 0", "check", key("crf", [-1]),
        says="crf.0: input should be greater than or equal to 0"),
    bad("config crf", "is empty", "check", key("crf", []), says="crf: list should have at least 1"),
    bad("config crf", "has one twice", "check", key("crf", [0, 23, 23]), before="accepted",
        says="crf: 23 is listed twice; give each once"),
    bad("config crf", "is a number", "check", key("crf", 23), says="crf: input should be a valid list"),
    bad("config crf", "has a text", "check", key("crf", ["23"]), says="crf.0: input should be a valid integer"),
    bad("config models", "is empty", "check", key("models", {}), says="models: dictionary should have at least 1"),
    bad("config models", "is a list", "check", key("models", ["iae"]),
        says="models: input should be a valid dictionary"),
    bad("config models", "has an unknown one", "check", key("models", {"ia": None}),
        says="models: 'ia' is unknown; known are dfaker, dfl_h128, faceswap, iae, lightweight; did you"),
    bad("config models", "has a number", "check", key("models", {"iae": 5}),
        says="models.iae: input should be a valid dictionary"),
    bad("config models", "has an unknown key", "check", key("models", {"iae": {"widht": 1}}),
        says="models.iae.widht: unknown key; did you mean 'width'?"),
    bad("config swaps", "is empty", "check", key("swaps", []), says="swaps: list should have at least 1"),
    bad("config swaps", "is a text", "check", key("swaps", "id0_id1"), says="swaps: input should be a valid list"),
    bad("config swaps", "has a number", "check", key("swaps", [5]), says="swaps.0: input should be a valid string"),
    bad("config swaps", "pairs one with itself", "check", key("swaps", ["id0_id0"]),
        says="swaps: 'id0_id0' should look like id0_id1 (all scenes) or id0_id1_0003"),
    bad("config swaps", "has one twice", "check", key("swaps", ["id0_id1", "id0_id1"]), before="accepted",
        says="swaps: id0_id1 is listed twice; give each once"),
    bad("config swaps", "names nobody", "check", key("swaps", ["id0_id7"]),
        says="swaps: 'id0_id7' names id7, who is not in sources.people"),
    bad("config swaps", "has a range that falls", "check", key("swaps", ["id0_id1_0002-0000"]),
        says="swaps: '0002-0000' should rise and name each once, like 0000-0009, 0012"),
    bad("config swaps", "has a scene that is not there", "check", key("swaps", ["id0_id1_0009"]),
        says="swaps: 'id0_id1_0009' names a scene that id0 does not have"),
    bad("config swaps", "has pairs with an unknown key", "check", key("swaps", [{"pair": ["id0_id1"]}]),
        says="swaps.pair: unknown key; did you mean 'pairs'?"),
    bad("config swaps", "has pairs with nothing", "check", key("swaps", [{"pairs": []}]),
        says="swaps.pairs: list should have at least 1"),
    bad("config swaps", "has a pair twice, in both orders", "check", key("swaps", [{"pairs": ["id0_id1", "id1_id0"]}]),
        says="swaps: id0_id1 is listed twice; give each once"),
    bad("config swaps", "has a pair of one", "check", key("swaps", [{"pairs": ["id0_id0"]}]),
        says="swaps: id0 is paired with itself; name two people"),
    # sources
    bad("config people", "has an Arabic-Indic digit", "check", key("sources.people.id٣", PERSON), before="accepted",
        says="sources.people: 'id٣' should be like id0-id13, id16"),
    bad("config people", "has id00 beside id0", "check", key("sources.people.id00", PERSON), before="accepted",
        says="sources.people: id0 and id00 have one number; give each person another"),
    bad("config people", "has a word as an id", "check", key("sources.people.anna", PERSON),
        says="sources.people: 'anna' should be like id0-id13, id16"),
    bad("config people", "is a list", "check", key("sources.people", ["id0"]),
        says="sources.people: input should be a valid dictionary"),
    bad("config people", "is empty", "check", key("sources.people", {}),
        says="sources.people: name at least one person, or give sources.table"),
    bad("config people", "has a text", "check", key("sources.people.id0", "me"),
        says="sources.people: 'id0' should hold keys such as scenes, not 'me'"),
    bad("config people", "is a range of a billion", "check", key("sources.people.id3-id999999999", PERSON),
        before="traceback", says="sources.people: 'id3-id999999999' stands for more than 10,000; give a shorter range"),
    bad("config people", "has an id of 5,000 digits", "check", key("sources.people.id" + "1" * 5000, PERSON),
        says="sources.people:"),
    bad("config people", "has a range twice", "check", key("sources.people.id0-id2", PERSON),
        says="sources.people: id0 is in two entries; put the entry for id0 alone after 'id0-id2'"),
    bad("config licence", "is blank", "check", key("sources.people.id0.licence", "   "), before="accepted",
        says="sources.people.id0.licence: should say something, in 3 characters or more"),
    bad("config consent", "is blank", "check", key("sources.people.id0.consent", " \t\n "), before="accepted",
        says="sources.people.id0.consent: should say something, in 3 characters or more"),
    bad("config consent", "is common and blank", "check", key("sources.consent", "    "), before="accepted",
        says="sources.consent: should say something, in 3 characters or more"),
    bad("config consent", "is yes", "check", key("sources.people.id0.consent", True),
        says="sources.people.id0.consent: input should be a valid string"),
    bad("config scenes", "is empty", "check", key("sources.people.id0.scenes", {}),
        says="sources.people.id0.scenes: dictionary should have at least 1"),
    bad("config scenes", "has three digits", "check", key("sources.people.id0.scenes", {"000": {"path": "a.mp4"}}),
        says="sources.people.id0.scenes.000: string should match pattern '^[0-9]{4}$'"),
    bad("config scenes", "has Arabic-Indic digits", "check",
        key("sources.people.id0.scenes", {"٠٠٠٠": {"path": "a.mp4"}}),
        says="sources.people.id0.scenes.٠٠٠٠: string should match pattern '^[0-9]{4}$'"),
    bad("config scenes", "has a number as a key", "check", key("sources.people.id0.scenes", {0: {"path": "a.mp4"}}),
        says="sources.people.id0.scenes.0: input should be a valid string"),
    bad("config scenes", "is a range without a pattern", "check", key("sources.people.id0.scenes", "0000-0002"),
        says="sources.people.id0.scenes: give scenes by number or, with a pattern, as a range in quotes"),
    bad("config scene", "has no place", "check", key("sources.people.id0.scenes.0000", {}),
        says="sources.people.id0.scenes.0000: give either path, or package and member"),
    bad("config scene", "has two places", "check",
        key("sources.people.id0.scenes.0000", {"path": "a", "package": "p", "member": "m"}),
        says="sources.people.id0.scenes.0000: give either path, or package and member"),
    bad("config scene", "has an empty path", "check", key("sources.people.id0.scenes.0000.path", ""), before="accepted",
        says="sources.people.id0.scenes.0000.path: '' is the name of no file or folder"),
    bad("config scene", "has a path with NUL", "check", key("sources.people.id0.scenes.0000.path", "a\0b"),
        says="sources.people.id0.scenes.0000.path: its name contains '\\x00', a control character"),
    bad("config scene", "has a path of 300 characters", "check", key("sources.people.id0.scenes.0000.path", LONG),
        before="traceback", says="File name too long; correct the path"),
    bad("config scene", "is absent", "check", key("sources.people.id0.scenes.0000.path", "none.mp4"),
        says="scene id0_0000: videos/none.mp4 does not exist; correct the path or put the file there"),
    bad("config scene", "has a placeholder", "check", key("sources.people.id0.scenes.0000.path", "{person}.mp4"),
        says="sources.people.id0.scenes.0000.path: it is used as written; {person} and"),
    bad("config scene", "is of an unknown package", "check",
        key("sources.people.id0.scenes.0000", {"package": "p", "member": "m"}),
        says="scene id0_0000 names package 'p', which is not in sources.packages"),
    bad("config scene", "leaves its package", "check",
        key("sources.people.id0.scenes.0000", {"package": "face_recognition_models", "member": "../../x"}),
        says="sources.people.id0.scenes.0000: member '../../x' is not a path inside a package"),
    bad("config scene", "has an empty member", "check",
        key("sources.people.id0.scenes.0000", {"package": "face_recognition_models", "member": ""}), before="accepted",
        says="sources.people.id0.scenes.0000.member: '' is the name of no file or folder"),
    bad("config frames", "has a start below 0", "check", key("sources.people.id0.scenes.0000.frames", [-3, 5]),
        says="sources.people.id0.scenes.0000.frames.0: input should be greater than or equal to 0"),
    bad("config frames", "falls", "check", key("sources.people.id0.scenes.0000.frames", [5, 3]),
        says="sources.people.id0.scenes.0000: frames must be [start, stop] with start < stop"),
    bad("config frames", "has one end", "check", key("sources.people.id0.scenes.0000.frames", [5]),
        says="sources.people.id0.scenes.0000.frames.1: this key is required"),
    bad("config frames", "has a switch", "check", key("sources.people.id0.scenes.0000.frames", [False, 5]),
        before="accepted", says="sources.people.id0.scenes.0000.frames.0: input should be a valid integer"),
    bad("config frames", "has a text", "check", key("sources.people.id0.scenes.0000.frames", ["0", 5]),
        before="accepted", says="sources.people.id0.scenes.0000.frames.0: input should be a valid integer"),
    bad("config root", "is of an unknown user", "check", key("sources.root", "~nobody-here"),
        says="sources.root: '~nobody-here' begins with the home of a user who is not here"),
    bad("config cache", "is of an unknown user", "sources fetch", key("sources.cache", "~nobody-here/x"),
        before="traceback", says="sources.cache: '~nobody-here/x' begins with the home of a user who is not here"),
    bad("config cache", "is a number", "check", key("sources.cache", 5),
        says="sources.cache: input should be a valid string"),
    bad("config packages", "has a short hash", "check", key("sources.packages.face_recognition_models.sha256", "abc"),
        says="sources.packages.face_recognition_models.sha256: string should match pattern"),
    bad("config packages", "has an option as a name", "check",
        key("sources.packages.face_recognition_models.name", "--index-url"),
        says="sources.packages.face_recognition_models: '--index-url' is not the name of a package of"),
    bad("config packages", "has a path as a file", "check",
        key("sources.packages.face_recognition_models.file", "../x.whl"),
        says="sources.packages.face_recognition_models.file: string should match pattern"),
    bad("config packages", "has an option as a version", "check",
        key("sources.packages.face_recognition_models.version", "-r x"),
        says="sources.packages.face_recognition_models.version: string should match pattern"),
    bad("config packages", "has an unknown registry", "check",
        key("sources.packages.face_recognition_models.registry", "conda"),
        says="sources.packages.face_recognition_models.registry: input should be 'pypi' or 'npm'"),
    bad("config pattern", "has another placeholder", "check", key("sources.pattern", "{x}.mp4"),
        key("sources.people.id0.scenes", "0000-0002"),
        says="sources.people: pattern '{x}.mp4' has other placeholders than {person} and {scene}"),
    bad("config pattern", "gives two scenes one file", "check", key("sources.pattern", "{person}.mp4"),
        key("sources.people.id0.scenes", "0000-0002"),
        says="sources.people: pattern '{person}.mp4' gives id0_0000 and id0_0001 one file; use both"),
    bad("config table", "is absent", "check", key("sources.table", "none.tsv"),
        says="sources.people: sources.table cannot be read"),
    bad("config table", "is a folder", "check", key("sources.table", "../results"),
        says="sources.people: sources.table cannot be read"),
    bad("config table", "is not UTF-8", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", b"person\tscene\n\xff\t\xfe\n"), says="sources.people: sources.table cannot be read"),
    bad("config table", "has no columns", "check", key("sources.table", "t.tsv"), write("videos/t.tsv", ""),
        says="sources.people: videos/t.tsv, line 1: no column person; name the columns, with tabs"),
    bad("config table", "has a column twice", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", "person\tperson\tscene\tpath\nid3\tid4\t0000\tx\n"),
        says="sources.people: videos/t.tsv, line 1: the column person is there twice; keep one of them"),
    bad("config table", "has an unknown column", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", "person\tscene\tpth\nid3\t0000\tx\n"),
        says="sources.people: videos/t.tsv, line 2: pth: unknown key; did you mean 'path'?"),
    bad("config table", "has a cell too many", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", "person\tscene\tpath\nid3\t0000\tx\ty\n"),
        says="sources.people: videos/t.tsv, line 2: a cell more than columns: unknown key; remove it or"),
    bad("config table", "has a scene twice", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", "person\tscene\tpath\nid0\t0000\tx\n"),
        says="sources.people: videos/t.tsv, line 2: the scene id0_0000 is there already; give each"),
    bad("config table", "has frames that are no range", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", "person\tscene\tpath\tframes\nid3\t0000\tx\t5\n"),
        says="sources.people: videos/t.tsv, line 2: frames: should be like [0, 96]"),
    bad("config table", "has a blank consent", "check", key("sources.table", "t.tsv"),
        write("videos/t.tsv", "person\tscene\tpath\tlicence\tconsent\nid3\t0000\tx\tmine\t   \n"),
        says="sources.people: videos/t.tsv, line 2: consent: should say something, in 3 characters or"),
    # faces, train, render, evaluate, encode, crops
    bad("config faces.detector", "is unknown", "check", key("faces.detector", "eyes"),
        says="faces.detector: 'eyes' is unknown; known are dlib, dlib_cnn, face_alignment"),
    bad("config faces.predictor", "is null", "check", key("faces.predictor", None),
        says="faces.predictor: 'dlib' needs the file of its 68-point predictor"),
    bad("config faces.weights", "is no folder", "check",
        key("faces", {"detector": "face_alignment", "weights": "none"}), before="accepted",
        says="faces.weights: none does not exist; correct the path or put the file there"),
    bad("config faces.weights", "is no network", "check", key("faces.detector", "dlib_cnn"),
        says="faces.weights: 'dlib_cnn' needs its network; give package and member, or path"),
    bad("config faces.every", "is 0", "check", key("faces.every", 0),
        says="faces.every: input should be greater than or equal to 1"),
    bad("config faces.every", "follows turned faces", "check", key("faces.every", 4), key("faces.rotate", [0, 90]),
        says="faces.every above 1 follows upright faces alone; leave faces.rotate at [0], or every at 1"),
    bad("config faces.upsample", "is true", "check", key("faces.upsample", True), before="accepted",
        says="faces.upsample: input should be a valid integer"),
    bad("config faces.upsample", "is a text", "check", key("faces.upsample", "1"), before="accepted",
        says="faces.upsample: input should be a valid integer"),
    bad("config faces.confidence", "is true", "check", key("faces.confidence", True), before="accepted",
        says="faces.confidence: should be a number"),
    bad("config faces.confidence", "is infinite", "check", key("faces.confidence", float("-inf")),
        says="faces.confidence: input should be a finite number"),
    bad("config faces.cut_threshold", "is above 1", "check", key("faces.cut_threshold", 2),
        says="faces.cut_threshold: input should be less than or equal to 1"),
    bad("config faces.max_gap", "is a fraction", "check", key("faces.max_gap", 1.5),
        says="faces.max_gap: input should be a valid integer"),
    bad("config faces.keep", "is unknown", "check", key("faces.keep", "first"),
        says="faces.keep: input should be 'largest', 'nearest' or 'person'"),
    bad("config train.lr", "is not a number", "check", key("train.lr", float("nan")),
        says="train.lr: input should be a finite number"),
    bad("config train.lr", "is true", "check", key("train.lr", True), before="accepted",
        says="train.lr: should be a number"),
    bad("config train.lr", "is a word", "check", key("train.lr", "fast"),
        says="train.lr: input should be a valid number, unable to parse string as a number"),
    bad("config train.width", "is 0", "check", key("train.width", 0),
        says="train.width: input should be greater than 0"),
    bad("config train.iterations", "is 1e3", "check", key("train.iterations", "1e3"),
        says="train.iterations: input should be a valid integer"),
    bad("config train.beta1", "is 1", "check", key("train.beta1", 1), says="train.beta1: input should be less than 1"),
    bad("config train.compile", "is a word", "check", key("train.compile", "on"),
        says="train.compile: input should be a valid boolean"),
    bad("config train.threads", "is 10^9", "check", key("train.threads", 10**9), before="accepted",
        says="train.threads: input should be less than or equal to 1024"),
    bad("config train.start_from", "is absent", "check", key("train.start_from", "none_{pair}.safetensors"),
        says="train.start_from: none_id0_id1.safetensors does not exist; correct the path or put the"),
    bad("config train", "has an unknown key", "check", key("train.itertions", 5),
        says="train.itertions: unknown key; did you mean 'iterations'?"),
    bad("config train", "is a list", "check", key("train", [1]),
        says="train: input should be a valid dictionary or instance of TrainConfig"),
    bad("config render.mask_blur", "is below 0", "check", key("render.mask_blur", -1),
        says="render.mask_blur: input should be greater than or equal to 0"),
    bad("config render.color", "is unknown", "check", key("render.color", "blue"),
        says="render.color: input should be 'avg', 'local', 'reinhard', 'histogram' or 'none'"),
    bad("config render.smooth", "is infinite", "check", key("render.smooth", float("inf")),
        says="render.smooth: input should be a finite number"),
    bad("config evaluate.frames", "is 0", "check", key("evaluate.frames", 0),
        says="evaluate.frames: input should be greater than or equal to 1"),
    bad("config evaluate.identity", "is a text", "check", key("evaluate.identity", "net.dat"),
        says="evaluate.identity: input should be a valid dictionary or instance of FileRef"),
    bad("config encode.preset", "is unknown", "check", key("encode.preset", "placebo"),
        says="encode.preset: input should be 'ultrafast', 'superfast', 'veryfast', 'faster', 'fast',"),
    bad("config encode.threads", "is true", "check", key("encode.threads", True),
        says="encode.threads: input should be a valid integer"),
    bad("config crops.margin", "is above 2", "check", key("crops.margin", 2.5),
        says="crops.margin: input should be less than or equal to 2"),
    bad("config crops.smooth", "is false", "check", key("crops.smooth", False), before="accepted",
        says="crops.smooth: should be a number"),
    # splits, attribution, comparison, controls, data
    bad("config splits", "has an unknown scene", "check", key("splits.scene.train", ["id9_0000"]),
        says="splits.scene.train names 'id9_0000', which sources.people does not have"),
    bad("config splits", "has a scene twice", "check", key("splits.scene.train", ["id0_0000", "id0_0001"]),
        says="splits.scene: 'id0_0001' is in two parts, by train and by validation; keep it in one"),
    bad("config splits", "has an empty part", "check", key("splits.scene.test", []),
        says="the scene split leaves test without a swapped video; list scenes under"),
    bad("config splits", "has one list alone", "check", key("splits.scene", {"train": ["id0_0000"]}),
        says="splits.scene.validation is null, but other lists are given; give all three or none"),
    bad("config splits", "has Arabic-Indic digits", "check", key("splits.scene.train", ["id٠_0000"]),
        says="splits.scene.train.0: string should match pattern '^id[0-9]{1,9}_[0-9]{4}$'"),
    bad("config attribution.model", "is unknown", "check", key("attribution.model", "oracle"),
        says="attribution.model: 'oracle' is unknown; known are dma_sta, efficientnet_b0,"),
    bad("config attribution.depth", "is 19", "check", key("attribution.depth", 19),
        says="attribution.depth: input should be 18, 34, 50 or 101"),
    bad("config attribution.depth", "is true", "check", key("attribution.depth", True),
        says="attribution.depth: input should be 18, 34, 50 or 101"),
    bad("config attribution.clip", "is true", "check", key("attribution.clip", True),
        says="attribution.clip: input should be a valid integer"),
    bad("config attribution.size", "is above resize", "check", key("attribution.size", 64),
        says="attribution: size 64 is cut out of a crop resized to 40; make it no larger"),
    bad("config attribution.options", "has one that the model does not have", "check",
        key("attribution.options", {"hidden": 3}),
        says="attribution.options: 'hidden' is not an option of meso_inception4; it has none"),
    bad("config attribution.options", "has a value of 0", "check", key("attribution.model", "residual_dct"),
        key("attribution.options", {"grid": 0}), says="attribution.options: grid is 0, but should be 1 to 16"),
    bad("config attribution.weights", "is absent", "check", key("attribution.weights", "none.pth"),
        says="attribution.weights: none.pth does not exist; correct the path or put the file there"),
    bad("config attribution.split", "is not made", "check", key("attribution.split", "identity"),
        says="attribution.split names 'identity', but splits.identity is null"),
    bad("config attribution.mixup", "is not a number", "check", key("attribution.mixup", float("nan")),
        says="attribution.mixup: input should be a finite number"),
    bad("config attribution.milestones", "is 0", "check", key("attribution.milestones", [0]),
        says="attribution.milestones.0: input should be greater than or equal to 1"),
    bad("config comparison", "has no classifier", "check", key("comparison.classifiers", {}),
        says="comparison.classifiers: dictionary should have at least 1"),
    bad("config comparison", "has an unknown one", "check", key("comparison.classifiers", {"oracle": None}),
        says="comparison.classifiers.oracle: 'oracle' is unknown; known are dma_sta, efficientnet_b0,"),
    bad("config comparison.crf", "is not among the qualities", "check", key("comparison.crf", 10),
        says="comparison.crf is 10, which is not among the qualities in crf"),
    bad("config comparison.seeds", "has one twice", "check", key("comparison.seeds", [1, 1]), before="accepted",
        says="comparison.seeds: 1 is listed twice; give each once"),
    bad("config comparison.seeds", "is empty", "check", key("comparison.seeds", []),
        says="comparison.seeds: list should have at least 1"),
    bad("config comparison.rates", "has true", "check", key("comparison.rates", [True]), before="accepted",
        says="comparison.rates.0: should be a number"),
    bad("config comparison.matrix", "has an unknown one", "check", key("comparison.matrix", ["xception"]),
        says="comparison.matrix: 'xception' is unknown; known are meso_inception4, residual_dct; did"),
    bad("config comparison.splits", "is empty", "check", key("comparison.splits", []), before="accepted",
        says="comparison.splits: list should have at least 1"),
    bad("config splits.folds", "has a pair twice", "check",
        key("splits.folds", {"a": {"train": ["id0_id1"], "test": ["id1_id0"]}}),
        says="splits.folds.a: id0_id1 is in train and in test; keep it in one"),
    bad("config splits.folds", "leaves nobody to train on", "check", key("splits.leave_two_out", True),
        says="leave_two_out needs a pair without the people of id0_id1; swap more people"),
    bad("config unseen", "has no folds", "check", key("unseen", {"classifiers": ["meso_inception4"], "train": [23]}),
        says="unseen needs splits.folds; set splits.leave_two_out, or list folds by name"),
    bad("config unseen.treatments", "has an unknown one", "check",
        key("unseen", {"classifiers": ["meso_inception4"], "train": [23], "treatments": ["vp8"]}),
        says="unseen.treatments: 'vp8' is unknown; known are h265, vp9, again, scaled, cut, noise, half"),
    bad("config controls", "has an unknown one", "check", key("controls.classifiers", ["xception"]),
        says="controls.classifiers: 'xception' is unknown; known are meso_inception4, residual_dct; did"),
    bad("config controls.permutations", "is below 20", "check", key("controls.permutations", 5),
        says="controls.permutations: input should be greater than or equal to 20"),
    bad("config controls.background", "sees whole faces", "check", key("controls.background", "residual_dct"),
        says="controls.background: 'residual_dct' is not a classifier with region: background"),
    bad("config data.classes", "has a class with capitals", "check", key("data", {"classes": {"DF_class1": "DFaker"}}),
        says="data.classes.DF_class1: string should match pattern '^[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)*$'"),
    bad("config data.strict", "is no", "check", key("data", {"strict": False}),
        says="data.strict: input should be 'refuse' or 'leave_out'"),
    bad("config data.splits", "has one list alone",
        "collect {collected} --layout crops --out new".replace("{collected}", "results/crops/crf23"),
        key("data", {"splits": {"scene": {"train": ["id0_0000"]}}}),
        says="splits.scene.validation is null, but other lists are given; give all three or none"),
    # arguments
    bad("dfdm", "is a word", "nope", says="'dfdm nope' is not a command; 'dfdm --help' lists them"),
    bad("dfdm", "is nothing", "", says="'dfdm' is not a command; 'dfdm --help' lists them"),
    bad("train --pair", "is no people", TRAIN.replace("id0 id1", "foo bar"), before="traceback",
        says="'foo' is not a person; people are called id0, id1 ..."),
    bad("train --pair", "is one person", TRAIN.replace("id0 id1", "id0 id0"),
        says="a pair is two people, and both sides are id0"),
    bad("train --pair", "is of nobody here", TRAIN.replace("id0 id1", "id0 id7"),
        says="the track of id1_0000 shows none of id0 and id7; leave it out"),
    bad("train --pair", "has Arabic-Indic digits", TRAIN.replace("id0 id1", "id٠ id1"),
        says="'id٠' is not a person; people are called id0, id1 ..."),
    bad("train --model", "is unknown", TRAIN.replace("iae", "gan"),
        says="'gan' is not a model of this config; known are iae, dfaker"),
    bad("train --tracks", "has one twice", TRAIN.replace("{track}", "{track} {track}"), before="accepted",
        says="argument --tracks: results/faces/id0_0000.npz is given twice; give each once; 'dfdm train"),
    bad("train --tracks", "has copies of one", TRAIN.replace("{track}", "{track} copy.npz"),
        copy("{track}", "copy.npz"), before="accepted", says="two of the tracks are of id0_0000; give each scene once"),
    bad("train --tracks", "shows one of the two only", TRAIN.replace("results/faces/id1_0000.npz", ""),
        says="id0 has 11 faces to train on, at least 16 are needed; add scenes that show the face, or"),
    bad("train --tracks", "is a config", TRAIN.replace("{track}", "config.yaml"),
        says="config.yaml is not a readable face track (This file contains pickled (object) data. If"),
    bad("train --out", "is a folder", TRAIN.replace("new/model.safetensors", "videos"), before="accepted",
        says="--out is videos, and is to end in .safetensors; correct the name"),
    bad("train --out", "is the loss log", TRAIN.replace("new/model.safetensors", "new/loss.csv"), before="accepted",
        says="--out is new/loss.csv, and is to end in .safetensors; correct the name"),
    bad("attribution train --seed", "is below 0", ATTR + " --seed -1", before="traceback",
        says="argument --seed: -1 is below 0; 'dfdm attribution train --help' explains the arguments"),
    bad("attribution train --seed", "is 10^30", f"{ATTR} --seed {10**30}", before="traceback",
        says="argument --seed: 1000000000000000000000000000000 is larger than 9223372036854775807;"),
    bad("attribution train --seed", "has Arabic-Indic digits", f"{ATTR} --seed ٣", before="accepted",
        says="argument --seed: invalid int value: '٣'; 'dfdm attribution train --help' explains the"),
    bad("attribution train --crf", "is a word", ATTR.replace("23", "high", 1),
        says="--crf is 'high'; give a number from 0 to 51, or all"),
    bad("attribution train --crf", "is a superscript", ATTR.replace("23", "²", 1),
        says="--crf is '²'; give a number from 0 to 51, or all"),
    bad("attribution train --crf", "is 99", ATTR.replace("23", "99", 1),
        says="--crf is '99'; give a number from 0 to 51, or all"),
    bad("attribution train --classifier", "is unknown", ATTR + " --classifier oracle",
        says="'oracle' is not a classifier; this config has meso_inception4, residual_dct"),
    bad("attribution train --manifest", "is a CSV", ATTR.replace("{manifest}", "results/manifests/crf23.csv"),
        says="results/manifests/crf23.csv is not a readable parquet"),
    bad("attribution train --manifest", "is absent", ATTR.replace("{manifest}", "none.parquet"),
        says="none.parquet does not exist; build the manifest"),
    bad("attribution train --manifest", "has every quality", ATTR.replace("{manifest}", "{dataset}"),
        says="results/manifests/dataset.parquet contains videos of several qualities; give the manifest"),
    bad("attribution train --manifest", "is given twice", ATTR.replace("{manifest}", "{manifest} {manifest}"),
        says="argument --manifest: results/manifests/crf23.parquet is given twice; give each once;"),
    bad("attribution train --tune", "is of another", ATTR + " --classifier residual_dct --tune {tune}",
        says="results/attribution/meso_inception4/tune.json contains no rate of residual_dct; give its"),
    bad("attribution train --out", "is empty", ATTR.replace("new", "''"), before="accepted",
        says="argument --out: it is empty; name a file or folder; 'dfdm attribution train --help'"),
    bad("attribution train --out", "is a file", ATTR.replace("new", "rates.json"), before="traceback",
        says="--out rates.json is a file; name a folder"),
    bad("attribution tune", "has no rates",
        "attribution tune --classifier residual_dct --manifest {manifest} --out new.json",
        says="comparison.rates lists no learning rates; add some, or train at attribution.lr"),
    bad("attribution score --crf", "is not the manifest's", SCORE.replace("23 ", "0 ", 1),
        says="results/manifests/crf23.parquet contains no videos of crf 0; give the manifest of that"),
    bad("attribution score --crf", "is below 0", SCORE.replace("23 ", "-1 ", 1),
        says="argument --crf: -1 is below 0; 'dfdm attribution score --help' explains the arguments"),
    bad("attribution score --model", "is an autoencoder", SCORE.replace("{classifier}", "{weights}"),
        says="results/train/id0_id1/iae/model.safetensors is not a classifier of this pipeline"),
    bad("attribution comparison --out", "is below a file", "attribution comparison --out rates.json/x.json",
        before="traceback", says="rates.json is no folder; name another output"),
    bad("attribution comparison --out", "is a pipe", "attribution comparison --out pipe.json",
        lambda: os.mkfifo("pipe.json"), before="accepted",
        says="pipe.json is there and is no file, so no file is written in its place"),
    bad("attribution comparison --results", "is absent", COMPARE + " --results none",
        says="there are no scores of the comparison yet; run its trainings first"),
    bad("attribution unseen", "is not asked for", "attribution unseen --out new.json",
        says="this config has no section unseen; add it"),
    bad("attribution score --treatment", "is unknown", SCORE + " --treatment vp8",
        says="--treatment is 'vp8'; known are h265, vp9, again, scaled, cut, noise, half"),
    bad("attribution import", "is absent", PTH, says="c.pth does not exist or is no file; correct the path"),
    bad("attribution import", "is no checkpoint", PTH, write("c.pth", b"nothing" * 100),
        says="c.pth is not a state dict ("),
    bad("attribution import", "is truncated", PTH, checkpoint(), cut("c.pth", 90000),
        says="c.pth is not a state dict ("),
    bad("attribution import", "runs code", PTH, write("c.pth", pickle.dumps(os.getpid, 2)),
        says="c.pth is not a state dict ("),
    bad("attribution import", "has an entry that is no tensor", PTH, checkpoint(epoch=7),
        says="c.pth is not a state dict (its entry 'epoch' is no tensor); give another file"),
    bad("attribution import", "lacks an entry", PTH, checkpoint(fc_bias=None),
        says="c.pth is not a DMA-STA of depth 18, clip 10 and 5 classes: it has no entry fc.bias; nothing of"),
    bad("attribution import", "has one more entry", PTH, checkpoint(head_weight=lambda: zeros(5, 512)),
        says="5 classes: its entry head.weight is not one of the network's; nothing of it is taken:"),
    bad("attribution import", "has an entry of another shape", PTH, checkpoint(ta_fc_2_weight=lambda: zeros(10, 4)),
        says="its entry ta.fc.2.weight is 10x4, and should be 10x5; nothing of it is taken:"),
    bad("attribution import", "is of double precision", PTH, checkpoint(fc_bias=lambda: zeros(5).double()),
        says="its entry fc.bias is torch.float64, and should be dense torch.float32; nothing of it is taken:"),
    bad("attribution import", "has a value that is not a number", PTH, checkpoint(fc_bias=lambda: zeros(5) * np.nan),
        says="its entry fc.bias contains values that are not finite; nothing of it is taken:"),
    bad("attribution import --classes", "is too few", PTH + " --classes iae dfaker", checkpoint(),
        says="of depth 18, clip 10 and 2 classes: its entry fc.weight is 5x512, and should be 2x512; nothing"),
    bad("attribution import --classes", "is no name", PTH + " --classes Deep=Fakes",
        says="--classes has 'Deep=Fakes'; a class has a name such as iae, in small letters"),
    bad("attribution import --depth", "is another", PTH.replace("18", "50"), checkpoint(),
        says="c.pth is not a DMA-STA of depth 50, clip 10 and 5 classes: it has no entry layer1.0.conv3.weight;"),
    bad("attribution import --depth", "is no ResNet's", PTH.replace("18", "20"), checkpoint(),
        says="depth: input should be 18, 34, 50 or 101 (got 20)"),
    bad("attribution import --size", "is above --resize", PTH + " --size 300", checkpoint(),
        says="size 300 is cut out of a crop resized to 256; make it no larger"),
    bad("attribution import --out", "is no .safetensors", PTH.replace("new.safetensors", "new.pth"), checkpoint(),
        says="--out is new.pth, and is to end in .safetensors; correct the name"),
    bad("view", "is absent", "view none.html", says="none.html does not exist or is no file; correct the path"),
    bad("view", "is no page", "view config.yaml", says="config.yaml, and is to end in .html"),
    bad("controls --classifier", "has none", CONTROLS.replace("meso_inception4", "residual_dct"),
        says="this config's controls do not include residual_dct at crf 23; add it to"),
    bad("controls --crf", "is not the config's", CONTROLS.replace("23 ", "10 ", 1),
        says="this config's controls do not include meso_inception4 at crf 10; add it to"),
    bad("sources probe --scene", "is unknown", "sources probe --scene id7_0000 --out new.json",
        says="config: sources.people has no scene id7_0000; add it or use one of its own"),
    bad("sources probe --scene", "is a person", "sources probe --scene id0 --out new.json",
        says="config: sources.people has no scene id0; add it or use one of its own"),
    bad("sources probe --out", "is empty", "sources probe --scene id0_0000 --out ''", before="traceback",
        says="argument --out: it is empty; name a file or folder; 'dfdm sources probe --help' explains"),
    bad("sources probe --out", "has a name of 300 characters", f"sources probe --scene id0_0000 --out {LONG}.json",
        before="traceback", says="File name too long; correct the path"),
    bad("sources probe --out", "is not UTF-8", "sources probe --scene id0_0000 --out \udcff.json", before="accepted",
        says="is not UTF-8; rename it"),
    bad("sources probe --out", "is in /proc", "sources probe --scene id0_0000 --out /proc/nope/x.json",
        before="traceback", says="/proc/nope: No such file or directory; correct the path or name another place"),
    bad("sources scan", "is absent", SCAN.replace("videos", "none"),
        says="none is not a folder; give the one that contains the videos"),
    bad("sources scan", "is a file", SCAN.replace("videos", "config.yaml"),
        says="config.yaml is not a folder; give the one that contains the videos"),
    bad("sources scan", "has nobody", SCAN.replace("videos", "profile"),
        says="profile shows 0 people; it needs at least two, as id0_0000.mp4 or one folder for each"),
    bad("sources scan --licence", "is blank", SCAN.replace("made-up", "'   '"), before="accepted",
        says="config: sources.people.id0.licence: should say something, in 3 characters or more"),
    bad("sources scan --consent", "is too short", SCAN.replace("nobody", "y"),
        says="config: sources.people.id0.consent: string should have at least 3 characters"),
    bad("sources scan --out", "exists", SCAN + " --out rates.json",
        says="rates.json: source: unknown key; did you mean 'sources'?"),
    bad("swap", "is absent", "swap none.mp4 videos/id0_0000.mp4 --licence made-up --consent nobody --out new",
        says="none.mp4 does not exist or is not a file; give one video a person, or one folder"),
    bad("swap", "is one video", "swap videos/id0_0000.mp4 --licence made-up --consent nobody --out new",
        says="videos shows 1 people; it needs at least two"),
    bad("swap --consent", "is too short", "swap videos --licence made-up --consent y --out new",
        says="config: sources.people.id0.consent: string should have at least 3 characters"),
    bad("sources fetch", "has no cache folder", "sources fetch", key("sources.cache", "rates.json"), before="traceback",
        says="rates.json: a file is where a folder is needed; correct the path or name another place"),
    bad("sources placeholders", "is absent", "sources placeholders none.yaml",
        says="none.yaml does not exist; give a config with --config"),
    bad("sources placeholders", "cannot write", "sources placeholders",
        key("sources.people.id0.scenes.0000.path", "id0_0001.mp4/x.mp4"), before="traceback",
        says="videos/id0_0001.mp4: a file is where a folder is needed; correct the path or name another"),
    bad("sources predictor", "has no folder of weights", "sources predictor --out new.json",
        key("faces", {"detector": "face_alignment", "weights": "none"}), before="traceback",
        says="faces.weights: none is not a folder; correct the path or put the weights there"),
    bad("sources identity --out", "is a folder", "sources identity --out videos",
        says="--out is videos, and is to end in .json; correct the name"),
    bad("faces --record", "is absent", FACES.replace("{record}", "none.json"),
        says="none.json does not exist; run the stage that makes it"),
    bad("faces --out", "is the record", FACES.replace("new.npz", "{record}"), before="accepted",
        says="--out is results/sources/id0_0000.json, and is to end in .npz; correct the name"),
    bad("render --out", "is an original's",
        "render --track {track} --checkpoint {weights} --out new/DFDM_crf0/real/id0_0000_real.mp4",
        says="new/DFDM_crf0/real/id0_0000_real.mp4 is the name of an original, nothing to render; use"),
    bad("render --out", "is not crf 0", RENDER.replace("crf0", "crf23"),
        says="new/DFDM_crf23/iae/id0_id1_0000_iae.mp4: only the crf 0 master is rendered; the other"),
    bad("render --out", "is in no folder of a quality", RENDER.replace("DFDM_crf0", "crf"),
        says="new/crf/iae/id0_id1_0000_iae.mp4 is not in DFDM_crf<number>/<model>/, of 0 to 51; see"),
    bad("render --out", "shows one person twice", RENDER.replace("id0_id1", "id0_id0"),
        says="'id0_id0_0000' shows the face of id0 on itself; name two people"),
    bad("render --out", "is in another model's folder", RENDER.replace("crf0/iae", "crf0/dfaker"),
        says="new/DFDM_crf0/dfaker/id0_id1_0000_iae.mp4: a video of iae is in a folder called dfaker;"),
    bad("render --out", "ends in .json", RENDER.replace("iae.mp4", "iae.json"),
        says="new/DFDM_crf0/iae/id0_id1_0000_iae.json is no video of the dataset, whose names end in"),
    bad("render --out", "is of another scene", RENDER.replace("id1_0000", "id1_0001"),
        says="results/faces/id0_0000.npz is the track of id0_0000, not of id0_0001; give the right one"),
    bad("render --checkpoint", "is of another model",
        RENDER.replace("{weights}", "results/train/id0_id1/dfaker/model.safetensors"),
        says="results/train/id0_id1/dfaker/model.safetensors is dfaker of id0 and id1, which cannot"),
    bad("render --checkpoint", "is a classifier", RENDER.replace("{weights}", "{classifier}"),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a readable"),
    bad("original --out", "is a swap's", "original --track {track} --out new/DFDM_crf0/iae/id0_id1_0000_iae.mp4",
        says="new/DFDM_crf0/iae/id0_id1_0000_iae.mp4 is the name of a swap; an original is called like"),
    bad("encode --out", "is crf 99", ENCODE.replace("new/DFDM_crf23", "new/DFDM_crf99"), before="accepted",
        says="new/DFDM_crf99/iae/id0_id1_0000_iae.mp4 is not in DFDM_crf<number>/<model>/, of 0 to 51;"),
    bad("encode --out", "is crf ²", ENCODE.replace("new/DFDM_crf23", "new/DFDM_crf²"), before="traceback",
        says="new/DFDM_crf²/iae/id0_id1_0000_iae.mp4 is not in DFDM_crf<number>/<model>/, of 0 to 51;"),
    bad("encode --out", "is crf 023", ENCODE.replace("new/DFDM_crf23", "new/DFDM_crf023"), before="accepted",
        says="new/DFDM_crf023/iae/id0_id1_0000_iae.mp4 is not in DFDM_crf<number>/<model>/, of 0 to 51;"),
    bad("encode --out", "is of another video",
        ENCODE.replace("new/DFDM_crf23/iae/id0_id1_0000", "new/DFDM_crf23/iae/id0_id1_0001"),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 at crf 0 cannot give"),
    bad("encode --out", "is the master", ENCODE.replace("new/DFDM_crf23", "results/dataset/DFDM_crf0"),
        says="--out results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 is also what 'master' names, and"),
    bad("encode --track", "is of another scene", ENCODE.replace("{track}", "results/faces/id0_0001.npz"),
        says="results/faces/id0_0001.npz is the track of id0_0001, not of id0_0000; give the right one"),
    bad("crops --out", "is the video", CROPS.replace("new.safetensors", "{lossy}"), before="accepted",
        says="--out is results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4, and is to end in"),
    bad("crops --video", "is absent", CROPS.replace("{lossy}", "DFDM_crf23/iae/id0_id1_0000_iae.mp4"),
        before="traceback",
        says="DFDM_crf23/iae/id0_id1_0000_iae.mp4 does not exist or is no file; correct the path or run"),
    bad("crops --video", "is in no folder of a quality", CROPS.replace("{lossy}", "videos/id0_0000.mp4"),
        says="videos/id0_0000.mp4 is not in DFDM_crf<number>/<model>/, of 0 to 51; see docs/data.md"),
    bad("manifest --target", "is unknown", "manifest --target crf99 --out new.parquet",
        says="'crf99' is not a target of this config; known are dataset, iae, dfaker, crf0, crf23,"),
    bad("manifest --out", "ends in .csv", "manifest --out new.csv", before="accepted",
        says="--out is new.csv, and is to end in .parquet; correct the name"),
    bad("manifest --results", "is a file", "manifest --out new.parquet --results rates.json",
        says="rates.json/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: a file is where a folder is"),
    bad("evaluate --masters", "has one twice", EVALUATE.replace("{master}", "{master} {master}"), before="accepted",
        says="argument --masters: results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 is given twice;"),
    bad("evaluate --masters", "is of another model", EVALUATE.replace("{master}", "{dfaker}"),
        says="results/dataset/DFDM_crf0/dfaker/id0_id1_0000_dfaker.mp4 is not a swap by iae of id0 and"),
    bad("evaluate --masters", "is of a scene without a track",
        EVALUATE.replace("{track}", "results/faces/id0_0001.npz"),
        says="--tracks has no track of id0_0000, which id0_id1_0000_iae.mp4 shows"),
    bad("evaluate --checkpoint", "is of another model",
        EVALUATE.replace("{weights}", "results/train/id0_id1/dfaker/model.safetensors"),
        says="results/train/id0_id1/dfaker/model.safetensors is dfaker of id0 and id1, not iae of id0"),
    bad("region --clip", "is no clip", REGION.replace("--clip id0_id1_0000", "--clip nope"),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 is not a crf 0 master of nope; leave"),
    bad("region --masters", "lacks a model", REGION.replace("{dfaker}", ""),
        says="--masters has no dfaker of id0_id1_0000; one region serves all models"),
    bad("region --masters", "is of crf 23", REGION.replace("{master}", "{lossy}"),
        says="results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 is not a crf 0 master of"),
    bad("region --masters", "has a model twice",
        REGION.replace("{master}", "{master} copy/DFDM_crf0/iae/id0_id1_0000_iae.mp4"),
        copy("{master}", "copy/DFDM_crf0/iae/id0_id1_0000_iae.mp4"), before="accepted",
        says="--masters has results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 and"),
    bad("region --original", "is a swap", REGION.replace("{real}", "{lossy}"),
        says="results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 is not the crf 0 original of"),
    bad("region --track", "is of another scene", REGION.replace("{track}", "results/faces/id0_0001.npz"),
        says="results/dataset/DFDM_crf0/real/id0_0000_real.mp4 is not the crf 0 original of id0_0001,"),
    bad("collect", "is absent", "collect none --layout crops --out new",
        says="none is not a folder; give the folder that contains the data"),
    bad("collect", "is empty", "collect profile --layout crops --out new",
        says="profile contains nothing of the layout 'crops'; see docs/data.md, Other data"),
    bad("collect", "has no classes", "collect results --layout frames --out new",
        says="results/attribution is not a known class; map it in the config, data.classes:"),
    bad("collect", "maps no folder", "collect results --layout faceforensics --out new",
        says="data.faceforensics is empty; map folders to classes in the config (docs/data.md, Other"),
    bad("collect --layout", "is unknown", "collect results --layout pictures --out new",
        says="argument --layout: invalid choice: 'pictures' (choose from 'crops', 'frames', 'videos',"),
    bad("export", "is no crop file", "export config.yaml --out new", says="config.yaml is not a readable crop file"),
    bad("export", "has a file twice", "export {crops} {crops} --out new", before="accepted",
        says="argument CROPS: results/crops/crf23/iae/id0_id1_0000_iae.safetensors is given twice; give"),
    bad("export", "has two qualities", "export {crops} results/crops/crf0/iae/id0_id1_0000_iae.safetensors --out new",
        says="the crop files are of crf 0, 23, which one tree cannot tell apart; export each quality"),
    bad("export --out", "is a file", "export {crops} --out rates.json", before="traceback",
        says="--out rates.json is a file; name a folder"),
    bad("picture", "is no clip", "picture nope --out new.jpg",
        says="'nope_dfaker' is not a video name; it should look like id0_id1_0003_iae or id0_0003_real"),
    bad("picture", "is of a scene that is not there", "picture id1_id0_0005 --out new.jpg",
        says="results/faces/id1_0005.npz does not exist; run the faces stage"),
    bad("picture --crf", "is not made", "picture id0_id1_0000 --crf 10 --out new.jpg",
        says="results/dataset/DFDM_crf10/real/id0_0000_real.mp4 does not exist; correct its path in the"),
    bad("shard", "asks for more than the pairs allow", "shard config.yaml 2",
        says="the pairs make 1 groups of people that share nobody (of 2 people); ask for at most 1 shards"),
    bad("shard", "asks for none", "shard config.yaml 0", says="0 shards are none; give a number from 1"),
    bad("merge", "is of a folder without results", "merge videos", says="videos has no results; give the results"),
    bad("merge", "is of the config's own results", "merge results",
        says="results is the config's own results folder; give those of the shards"),
    bad("release", "has a licence that allows nothing", "release new",
        says="not handed on: id0: licence is 'made up', which does not say that it allows passing on; id1: "),
    bad("release", "is asked for what the config lacks", "release new --crf 10",
        says="--crf names 10, which this config does not have; known are 0, 23"),
    bad("release", "is asked for an unknown model", "release new --models slim",
        says="--models names slim, which this config does not have; known are iae, dfaker"),
    bad("release", "is asked for an unknown person", "release new --people id7",
        says="--people names id7, which this config does not have; known are id0, id1"),
    bad("release", "includes without a reason", "release new --include id0 id1",
        says="--include ID... and --because TEXT go together: the text stands on the card; give both"),
    bad("release", "has a reason for nobody", "release new --because noise",
        says="--include ID... and --because TEXT go together: the text stands on the card; give both"),
    bad("release", "includes who is not shown", "release new --include id7 --because noise",
        says="--include id7: nothing stands against this person, or nobody shows it; leave it out"),
    bad("release", "is a folder of something else", RELEASE.replace("new", "videos"),
        says="videos has 4 files that are not of this release, such as id0_0000.mp4; delete them, or name"),
    bad("release", "is a file", RELEASE.replace("new", "rates.json"), says="rates.json is a file; name a folder"),
    bad("release", "lacks crops", RELEASE, lambda: Path("{crops}".format_map(PLACES)).unlink(),
        says="{crops} not made yet; run the workflow's target dataset, or give --no-crops".format_map(PLACES)),
    bad("release", "lacks a video's sidecar", RELEASE, lambda: Path("{sidecar}".format_map(PLACES)).unlink(),
        says="{sidecar} does not exist; run the stage that makes it".format_map(PLACES)),
    bad("release", "has no frames", f"{RELEASE} --as deepfakebench --frames 0",
        says="--frames is 0, and a video in it has one or more; give a number above 0"),
    bad("release", "signs pictures", f"{RELEASE} --as deepfakebench --sign",
        says="--sign is for videos, and --as deepfakebench has none; leave one of them out"),
    bad("release", "has a key that is none", f"{RELEASE} --sign",
        key("release", {"key": "state.pt", "certificate": "rates.json"}),
        says="release.key and release.certificate cannot sign (Unable to load PEM file."),
    bad("config release", "has a key alone", "check", key("release.key", "state.pt"),
        says="release: key and certificate belong together; give both or none"),
    bad("release's checksums", "are damaged", "verify new", write("new/SHA256SUMS", "x\n"),
        says="new/SHA256SUMS is not a list of checksums (the line 'x' is no checksum and file); delete it and run"),
    bad("release's checksums", "are not there yet", "verify new", write("new/release.json", "{}"),
        says="new is a release that is not finished; run 'dfdm release' again"),
    bad("verify", "is absent", "verify none", says="none has no records of what was written; give a folder of results"),
    bad("verify", "is a file", "verify config.yaml",
        says="config.yaml has no records of what was written; give a folder of results"),
    bad("provenance", "is absent", "provenance none.mp4", says="none.mp4 is not a readable video"),
    bad("provenance", "has no mark", "provenance videos/id0_0000.mp4",
        says="videos/id0_0000.mp4 has no mark of this project: another program made it, or it was"),
    bad("provenance", "is no video", "provenance config.yaml", says="config.yaml is not a readable video"),
    bad("scores", "has none", "scores", lambda: shutil.rmtree("results/attribution"),
        says="results contains no scores; run 'snakemake --cores all attribution' first"),
    bad("scores --evaluate", "has none", "scores --evaluate", lambda: shutil.rmtree("results/evaluate"),
        says="results contains no evaluation; run 'snakemake --cores all all_evaluate' first"),
    bad("report --out", "is a folder", "report --out videos",
        says="--out is videos, and is to end in .html; correct the name"),
    bad("report --out", "is the config", "report --out config.yaml", before="accepted",
        says="--out is config.yaml, and is to end in .html; correct the name"),
    bad("migrate", "would write over a file", "migrate", write("results/evaluation/x.json", "{}"),
        write("results/evaluate/x.json", "{}"), folder(".snakemake"),
        says="results/evaluation/x.json and results/evaluate/x.json both exist; keep one of them, then"),
    bad("plan --frames", "is 0", "plan --frames 0", before="accepted",
        says="--frames and --size are of scenes that have frames; give numbers above 0"),
    bad("plan --size", "is below 0", "plan --size -4 4", before="accepted",
        says="argument --size: -4 is below 0; 'dfdm plan --help' explains the arguments"),
    bad("plan --rates", "is absent", "plan --rates none.json",
        says="none.json does not exist; run the stage that makes it"),
    bad("weights import", "claims 10^11 floats", IMPORT.replace("iae.npz", "huge.npz"), huge_npz, before="traceback",
        says="huge.npz is not a readable .npz of weights (Unable to allocate 373. GiB for an array with"),
    bad("weights import", "is absent", IMPORT.replace("iae.npz", "none.npz"),
        says="none.npz does not exist; write it with numpy.savez, keys like encoder/0"),
    bad("weights import", "is no .npz", IMPORT.replace("iae.npz", "config.yaml"),
        says="config.yaml is not a readable .npz of weights (This file contains pickled (object) data."),
    bad("weights import", "lacks an array", IMPORT, npz("iae.npz", encoder__0=None),
        says="iae.npz has no encoder/0; a part's arrays count from 0 without a gap"),
    bad("weights import", "has an array that is not a number", IMPORT,
        npz("iae.npz", encoder__1=np.full(4, np.nan, np.float32)),
        says="iae.npz does not fit iae at width 0.03125: encoder/1 contains 4 values that are not"),
    bad("weights import", "has a key of Arabic-Indic digits", IMPORT, npz("iae.npz", **{"encoder__٣": np.zeros(3)}),
        says="iae.npz is not a readable .npz of weights (its key 'encoder/٣' does not look like"),
    bad("weights import --pair", "is no people", IMPORT.replace("id0 id1", "foo bar"),
        says="'foo' is not a person; people are called id0, id1 ..."),
    bad("weights import --pair", "is one person", IMPORT.replace("id0 id1", "id1 id1"),
        says="a pair is two people, and both sides are id1"),
    bad("weights import --width", "is not a number", IMPORT.replace("0.03125", "nan"),
        says="width: input should be a finite number"),
    bad("weights import --coverage", "is above 1", IMPORT + " --coverage 87.5",
        says="iae_state.json says coverage 0.875, the command line 87.5; leave the wrong one out"),
    bad("weights import --iterations", "is below 0", IMPORT + " --iterations -1",
        says="argument --iterations: -1 is below 0; 'dfdm weights import --help' explains the arguments"),
    bad("weights import --out", "is the input", IMPORT.replace("new.safetensors", "iae.npz"), before="accepted",
        says="--out is iae.npz, and is to end in .safetensors; correct the name"),
    bad("weights import --model", "is unknown", IMPORT.replace("--model iae", "--model gan"),
        says="there is no autoencoder 'gan'; known are"),
    bad("weights import", "is a .keras that is truncated", KERAS, model_file("iae.keras"), cut("iae.keras", 9000),
        says="iae.keras is not a readable model of the original (File is not a zip file); give a .keras or .h5"),
    bad("weights import", "is a .keras that is absent", KERAS,
        says="iae.keras does not exist; give the model file of the original"),
    bad("weights import", "is another zip", KERAS, lambda: shutil.copy("iae.npz", "iae.keras"),
        says="iae.keras is not a readable model of the original (\"There is no item named 'config.json' in"),
    bad("weights import", "is a .keras without HDF5 in it", KERAS, model_file("iae.keras"),
        member("iae.keras", "model.weights.h5", b"nothing" * 1000),
        says="iae.keras is not a readable model of the original (Unable to synchronously open file (file"),
    bad("weights import", "is a .keras whose layers are no list", KERAS, model_file("iae.keras"),
        member("iae.keras", "config.json", b'{"config": {"layers": 5}}'),
        says="iae.keras is not a readable model of the original ('int' object is not iterable); give a"),
    bad("weights import", "is a .keras whose layers are nested deep", KERAS, model_file("iae.keras"),
        member("iae.keras", "config.json", b"[" * 100000),
        says="iae.keras is not a readable model of the original (it is nested too deep); give a"),
    bad("weights import", "is a .keras with 100 MB of zeros, compressed", KERAS, model_file("iae.keras"),
        member("iae.keras", "model.weights.h5", bytes(10**8)),
        says="its model.weights.h5 claims 100 MB, and this model's has at most"),
    bad("weights import", "is a .keras of another model", KERAS.replace("--model iae", "--model original"),
        model_file("iae.keras"), js("iae_state.json", "name", "original"),
        says="iae.keras does not fit faceswap at width 0.03125: the weights are of the parts decoder, enc"),
    bad("weights import", "is a .keras with an array that is not a number", KERAS,
        model_file("iae.keras", lambda parts: parts["encoder"][1].fill(np.nan)),
        says="iae.keras does not fit iae at width 0.03125: encoder/1 contains 4 values that are not finite"),
    bad("weights import", "is a .keras that lacks a layer", KERAS,
        model_file("iae.keras", lambda parts: parts.update(decoder=parts["decoder"][2:])),
        says="iae.keras does not fit iae at width 0.03125: decoder contains 8 arrays, this model's has 10"),
    bad("weights import", "is a .keras of half precision", KERAS,
        model_file("iae.keras", lambda parts: parts.update(inter_a=[x.astype(np.float16) for x in parts["inter_a"]])),
        says="iae.keras does not fit iae at width 0.03125: inter_a/0 is of type float16; this model needs a"),
    bad("weights import", "is a .keras with reflect padding", KERAS + " --padding zero",
        model_file("iae.keras", also=[("x>ReflectionPadding2D", "padding")]),
        says="iae.keras: the model has reflect padding, which this project's models do not have; train one"),
    bad("weights import", "is an .h5 with a layer that is not known", H5, model_file("iae.h5", also=[("GRU", "gru")]),
        says="iae.h5: the model has the layer gru (GRU), which this project's models do not have; train"),
    bad("weights import", "is an .h5 that is none", H5, write("iae.h5", b"nothing" * 100),
        says="iae.h5 is not a readable model of the original (Unable to synchronously open file (file"),
    bad("weights import", "is an .h5 of another program", H5,
        lambda: h5py.File("iae.h5", "w").close(),
        says="iae.h5 is not a readable model of the original (it has no model_weights); give a .keras or"),
    bad("weights import", "is an .h5 that is truncated", H5, model_file("iae.h5"), cut("iae.h5", 300000),
        says="iae.h5 is not a readable model of the original (Unable to synchronously open file (truncated"),
    bad("weights import", "is an .h5 that claims 10^11 floats", H5, model_file("iae.h5"), huge_h5,
        says="iae.h5 does not fit iae at width 0.03125: encoder/0 has the shape (100000000000,); this model"),
    bad("weights import", "is an .h5 that is a folder", H5, folder("iae.h5"),
        says="iae.h5 is not a readable model of the original ("),
    bad("weights import --state", "is of a smaller encoder", IMPORT, js("iae_state.json", "config.lowmem", True),
        says="iae_state.json: the model has the smaller encoder 'lowmem' (lowmem True), which this project's"),
    bad("weights import --state", "has a coverage below ours", IMPORT, js("iae_state.json", "config.coverage", 45),
        says="iae_state.json: coverage: input should be greater than 0.5 (got 0.45), which this project"),
    bad("weights import --state", "has a mask that is not drawn here", IMPORT,
        js("iae_state.json", "config.mask_type", "bisenet-fp_face"),
        says="iae_state.json says mask_type bisenet-fp_face, which this project does not draw; give the"),
    bad("weights import --state", "is of another model", IMPORT, js("iae_state.json", "name", "villain"),
        says="iae_state.json is of the model villain, and iae is asked for; give its own state file"),
    bad("weights export --into", "is absent", EXPORT,
        says="iae.keras does not exist; give the model file of the original"),
    bad("weights export --into", "is of another width", EXPORT,
        model_file("iae.keras", lambda parts: parts["encoder"].__setitem__(1, np.zeros(9, np.float32))),
        says="iae.keras does not fit iae at width 0.03125: encoder/1 has the shape (9,); this model needs a"),
    bad("weights export --into", "is of another coverage", EXPORT, model_file("iae.keras"),
        js("iae_state.json", "config.coverage", 100),
        says="iae_state.json says coverage 1.0, and results/train/id0_id1/iae/model.safetensors has 0.875;"),
    bad("weights export --into", "is also the output", EXPORT.replace("new", "iae"), model_file("iae.keras"),
        says="--out iae.keras is also what 'into' names, and would be lost; name another file"),
    bad("weights export --out", "is not of the kind of --into", EXPORT.replace("new.keras", "new.h5"),
        model_file("iae.keras"), says="--out is new.h5, and is to end in .keras, as what is written; correct the"),
    bad("weights export --out", "is a .keras without --into", "weights export {weights} --out new.keras",
        says="--out is new.keras, and is to end in .npz, as what is written; correct the name"),
    bad("weights export --pair", "is of other people", EXPORT + " --pair id1 id2", model_file("iae.keras"),
        says="results/train/id0_id1/iae/model.safetensors is of id0 and id1, not of id1 and id2; correct"),
    bad("weights export", "is a classifier", "weights export {classifier} --out new.npz",
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a readable"),
    bad("weights export --out", "is the model", "weights export {weights} --out {weights}", before="accepted",
        says="--out is results/train/id0_id1/iae/model.safetensors, and is to end in .npz or"),
    bad("predict", "is absent", PREDICT.replace("videos/id0_0000.mp4", "none.mp4"),
        says="none.mp4 does not exist or is not a file; give a video"),
    bad("predict", "is a folder", PREDICT.replace("videos/id0_0000.mp4", "videos"),
        says="videos does not exist or is not a file; give a video"),
    bad("predict", "has an empty name", PREDICT.replace("videos/id0_0000.mp4", "''"),
        says=". does not exist or is not a file; give a video"),
    bad("predict", "has a name of 300 characters", PREDICT.replace("videos/id0_0000.mp4", LONG), before="traceback",
        says="File name too long; correct the path"),
    bad("predict", "is not UTF-8", PREDICT.replace("videos/id0_0000.mp4", "\udcff.mp4"),
        copy("videos/id0_0000.mp4", "\udcff.mp4"),
        says="\\udcff.mp4 has a name that is not UTF-8 or not printable; rename it"),
    bad("predict", "is no video", PREDICT.replace("videos/id0_0000.mp4", "config.yaml"),
        says="config.yaml cannot be opened as a video"),
    bad("predict", "shows no face", PREDICT,
        says="videos/id0_0000.mp4 shows no face that dlib finds; there is nothing to classify"),
    bad("predict --classifier", "is an autoencoder", PREDICT.replace("{classifier}", "{weights}"),
        says="results/train/id0_id1/iae/model.safetensors is not a classifier of this pipeline"),
    bad("predict --classifier", "is absent", PREDICT.replace("{classifier}", "none"),
        says="none does not exist; train the classifier"),
    bad("predict --picture", "is one file for two videos",
        PREDICT.replace("0000.mp4", "0000.mp4 videos/id0_0001.mp4") + " --picture p.png",
        says="--picture p.png is one file for 2 videos; give a folder"),
    bad("predict --table", "is no table's name", PREDICT + " --table out.txt", before="accepted",
        says="--table is out.txt, and is to end in .csv or .json"),
    bad("predict --table", "is another file", PREDICT + " --table no.json", write("no.json", "{}"), before="accepted",
        says="no.json is not a table of predictions"),
    bad("predict --json", "is the video", PREDICT + " --json videos/id0_0000.mp4", before="accepted",
        says="--json videos/id0_0000.mp4 is also what 'videos' names, and would be lost; name another"),
    # files that one part writes and another reads
    bad("record", "is a list", FACES, write("{record}", "[]"),
        says="results/sources/id0_0000.json: this is not a JSON object; delete the file and run the"),
    bad("record", "is empty", FACES, write("{record}", ""),
        says="results/sources/id0_0000.json is not readable JSON (Expecting value: line 1 column 1"),
    bad("record", "is binary", FACES, write("{record}", bytes(range(256))),
        says="results/sources/id0_0000.json is not readable JSON"),
    bad("record", "has no width", FACES, lambda: Path(PLACES["record"]).write_text("{}"),
        says="results/sources/id0_0000.json: scene_key is missing; delete the file and run the stage"),
    bad("record", "has a rate of 0", FACES, js("{record}", "rate", [25, 0]),
        before="accepted", says="its frames, size, rate or time base are no video's"),
    bad("record", "is of an unknown scene", FACES, js("{record}", "scene_key", "id9_0000"),
        says="config: sources.people has no scene id9_0000; add it or use one of its own"),
    bad("record", "has a word as its scene", FACES, js("{record}", "scene_key", "nope"),
        says="config: sources.people has no scene nope; add it or use one of its own"),
    bad("record", "has frames below 0", FACES, js("{record}", "stop", -5),
        says="its frames, size, rate or time base are no video's"),
    bad("record", "has more frames than the video", FACES, js("{record}", "stop", 500),
        says="videos/id0_0000.mp4 gave 12 of the 500 frames of id0_0000; the file was changed or"),
    bad("record", "has another width", FACES, js("{record}", "width", 640),
        says="videos/id0_0000.mp4 changes its size at frame 0; cut it there and list the parts as scenes"),
    bad("record", "has another video's hash", FACES, js("{record}", "sha256", "0" * 64),
        says="videos/id0_0000.mp4 is not the video that id0_0000 was probed from: it was replaced or"),
    bad("record", "has an infinite number", FACES, line("{record}", '"start_seconds": 0.0', '"start_seconds": 1e999'),
        says="results/sources/id0_0000.json: start_seconds: input should be a finite number; delete the"),
    bad("record", "is nested deep", FACES, write("{record}", "[" * 100000), before="traceback",
        says="results/sources/id0_0000.json is not readable JSON (it is nested too deep); delete it and"),
    bad("record", "has an integer of 5,000 digits", FACES, line("{record}", '"stop": 12', '"stop": ' + "9" * 5000),
        before="traceback", says="results/sources/id0_0000.json is not readable JSON"),
    bad("track", "is truncated", CROPS, cut("{track}", 500),
        says="results/faces/id0_0000.npz is not a readable face track (File is not a zip file); delete"),
    bad("track", "is empty", CROPS, write("{track}", ""),
        says="results/faces/id0_0000.npz is not a readable face track (No data left in file); delete it"),
    bad("track", "is a JSON file", CROPS, copy("{record}", "{track}"),
        says="results/faces/id0_0000.npz is not a readable face track (This file contains pickled"),
    bad("track", "lacks the landmarks", CROPS, npz("{track}", landmarks=None),
        says="results/faces/id0_0000.npz is not a readable face track ('landmarks is not a file in the"),
    bad("track", "has landmarks of another shape", CROPS, npz("{track}", landmarks=np.zeros((12, 5, 2), np.float32)),
        says="results/faces/id0_0000.npz is not a readable face track (landmarks has the wrong shape or"),
    bad("track", "has landmarks that are no numbers", CROPS,
        npz("{track}", landmarks=np.full((12, 68, 2), np.nan, np.float32)), before="traceback",
        says="its landmarks are no places in a picture"),
    bad("track", "has landmarks far away", CROPS, npz("{track}", landmarks=np.full((12, 68, 2), 1e9, np.float32)),
        before="accepted", says="its landmarks are no places in a picture"),
    bad("track", "has frames that fall", CROPS, npz("{track}", frame_index=np.arange(11, -1, -1, dtype=np.int32)),
        before="traceback", says="its frames are not those of its scene, in order"),
    bad("track", "has frames beyond its scene", CROPS, npz("{track}", frame_index=np.arange(100, 112, dtype=np.int32)),
        before="traceback", says="its frames are not those of its scene, in order"),
    bad("track", "is of a later format", CROPS, npz("{track}", format=np.int32(9)),
        says="results/faces/id0_0000.npz is not a readable face track (format 9, not 1); delete it and"),
    bad("track", "has a damaged record", CROPS, npz("{track}", record=np.array("[]")),
        says="results/faces/id0_0000.npz is not a readable face track"),
    bad("checkpoint", "is truncated", RENDER, cut("{weights}", 5000),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model"),
    bad("checkpoint", "is empty", RENDER, write("{weights}", ""),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model"),
    bad("checkpoint", "says that it is longer than it is", RENDER, write("{weights}", b"\xff" * 64),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model"),
    bad("checkpoint", "has other weights", RENDER, lambda: flip(PLACES["weights"], -10),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model (its content is"),
    bad("checkpoint", "is of an unknown model", RENDER, about("{weights}", model="gan"),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model (there is no"),
    bad("checkpoint", "is of one person", RENDER, about("{weights}", pair=["id0"]),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model (it is not of"),
    bad("checkpoint", "has no coverage", RENDER, about("{weights}", coverage=...),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model"),
    bad("checkpoint", "has a coverage of 5", RENDER, about("{weights}", coverage=5.0), before="accepted",
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model (coverage: input"),
    bad("checkpoint", "has an unknown centering", RENDER, about("{weights}", centering="nose"), before="traceback",
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model (centering:"),
    bad("checkpoint", "has a word as width", RENDER, about("{weights}", width="wide"),
        says="results/train/id0_id1/iae/model.safetensors is not a readable dfdm model (width: input"),
    bad("master", "is truncated", ENCODE, cut("{master}", 3000), says="ffmpeg failed:"),
    bad("master", "is empty", ENCODE, write("{master}", ""),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.mp4 cannot be opened as a video"),
    bad("sidecar", "is a list", ENCODE, write("{sidecar}", "[]"),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: this is not a JSON object; delete"),
    bad("sidecar", "is absent", ENCODE, lambda: Path(PLACES["sidecar"]).unlink(),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json does not exist; run the stage that"),
    bad("sidecar", "is of another video", ENCODE,
        copy("results/dataset/DFDM_crf0/iae/id0_id1_0001_iae.json", "{sidecar}"), before="accepted",
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json describes another video; delete it"),
    bad("sidecar", "lacks an input", ENCODE, js("{sidecar}", "inputs", {}),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: inputs.video is missing; delete the"),
    bad("sidecar", "is of another video, for the manifest", "manifest --out new.parquet",
        js("{sidecar}", "name", "id0_id1_0001_iae"),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: name does not say what model,"),
    bad("sidecar", "has a size that is not a number", "manifest --out new.parquet", js("{sidecar}", "width", "wide"),
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: width: input should be a valid"),
    bad("sidecar", "has bytes below 0", "manifest --out new.parquet", js("{sidecar}", "bytes", -5), before="accepted",
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: bytes: input should be greater than"),
    bad("sidecar", "has more faces than frames", "manifest --out new.parquet", js("{sidecar}", "face_frames", 500),
        before="accepted",
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: face_frames is larger than frames;"),
    bad("sidecar", "names another model", "manifest --out new.parquet", js("{sidecar}", "model", "dfaker"),
        before="accepted", says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: name does not say what model,"),
    bad("sidecar", "has a hash that is none", "manifest --out new.parquet", js("{sidecar}", "sha256", ""),
        before="accepted",
        says="results/dataset/DFDM_crf0/iae/id0_id1_0000_iae.json: sha256: string should match pattern"),
    bad("video", "is truncated", CROPS, cut("{lossy}", 2000),
        says="results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 gave 0 of the 12 frames of id0_0000;"),
    bad("video", "is of another scene", CROPS, copy("config.yaml", "{lossy}"),
        says="results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 cannot be opened as a video"),
    bad("crop file", "is truncated", ATTR, cut("{crops}", 2000),
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors is not a readable crop file"),
    bad("crop file", "is empty", ATTR, write("{crops}", ""),
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors is not a readable crop file"),
    bad("crop file", "is absent", ATTR, lambda: Path(PLACES["crops"]).unlink(),
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors does not exist; run the crops stage"),
    bad("crop file", "has changed frames", ATTR, lambda: flip(PLACES["crops"], -3000),
        says="is damaged: crop "),
    bad("crop file", "has no size", ATTR, about("{crops}", size=...), before="traceback",
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors is not a readable crop file (it does"),
    bad("crop file", "has another size", ATTR, about("{crops}", size=10), before="traceback",
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors is not a readable crop file (its"),
    bad("crop file", "is of no quality", "export {crops} --out new", about("{crops}", crf=...), before="traceback",
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors does not say name, model and crf of"),
    bad("crop file", "is called by a path", "export {crops} --out new", about("{crops}", name="../../../x_iae"),
        before="traceback",
        says="results/crops/crf23/iae/id0_id1_0000_iae.safetensors does not say name, model and crf of"),
    bad("crop file", "has no name", "collect results/crops/crf23 --layout crops --out new", about("{crops}", name=5),
        before="traceback",
        says="1 videos and 0 other files of results/crops/crf23 cannot be used (printed above); correct"),
    bad("crop file", "has a quality that is none", "collect results/crops/crf23 --layout crops --out new",
        about("{crops}", crf=99), before="traceback",
        says="1 videos and 0 other files of results/crops/crf23 cannot be used (printed above); correct"),
    bad("crop file", "has a list as a class", "collect results/crops/crf23 --layout crops --out new",
        about("{crops}", model=["iae"]), before="traceback",
        says="1 videos and 0 other files of results/crops/crf23 cannot be used (printed above); correct"),
    bad("manifest", "lacks a column", ATTR, table("{manifest}", lambda rows: rows.drop(columns="sha256")),
        says="results/manifests/crf23.parquet has no column sha256; build the manifest again"),
    bad("manifest", "has a part that is none", ATTR, table("{manifest}", lambda rows: rows.assign(split_scene="tset")),
        says="results/manifests/crf23.parquet: 'tset' is no value of the column split_scene; build it"),
    bad("manifest", "has a scene in two parts", ATTR,
        table("{manifest}", lambda rows: rows.assign(split_scene=[*["train"] * 4, *["test"] * 5])),
        says="is in two parts; build the manifest again"),
    bad("manifest", "has a line twice", ATTR, table("{manifest}", lambda rows: pd.concat([rows, rows[:1]])),
        says="the manifest lists id0_id1_0000_iae more than once; build it again"),
    bad("manifest", "has another model than the name", ATTR, table("{manifest}", lambda rows: rows.assign(model="iae")),
        says="results/manifests/crf23.parquet gives id0_id1_0000_dfaker the model iae, which its name"),
    bad("manifest", "has no line", ATTR, table("{manifest}", lambda rows: rows[:0]),
        says="the manifest has videos of crf -, not of 23; give the manifest of the quality that --crf"),
    bad("manifest", "has a null as a name", ATTR,
        table("{manifest}", lambda rows: rows.assign(name=[None, *rows["name"][1:]])), before="traceback",
        says="results/manifests/crf23.parquet: nan is no value of the column name; build it again"),
    bad("manifest", "has numbers as names", ATTR, table("{manifest}", lambda rows: rows.assign(name=range(len(rows)))),
        before="traceback", says="results/manifests/crf23.parquet: 0 is no value of the column name; build it again"),
    bad("manifest", "has words as crf", ATTR, table("{manifest}", lambda rows: rows.assign(crf="high")),
        says="results/manifests/crf23.parquet: 'high' is no value of the column crf; build it again"),
    bad("manifest", "has no hashes", ATTR, table("{manifest}", lambda rows: rows.assign(sha256=None)),
        says="results/manifests/crf23.parquet: None is no value of the column sha256; build it again"),
    bad("manifest", "has crops that are numbers", ATTR, table("{manifest}", lambda rows: rows.assign(crops=5)),
        says="results/manifests/crf23.parquet: 5 is no value of the column crops; build it again"),
    bad("manifest", "is truncated", ATTR, cut("{manifest}", 300),
        says="results/manifests/crf23.parquet is not a readable parquet"),
    bad("manifest", "lacks a column, for the report", REPORT,
        table("{dataset}", lambda rows: rows.drop(columns="model")), before="traceback",
        says="results/manifests/dataset.parquet has no column model; build the manifest again"),
    bad("manifest", "is no parquet, for the report", REPORT, write("{dataset}", "name,model\n"), before="traceback",
        says="results/manifests/dataset.parquet is not a readable parquet"),
    bad("manifest", "is of another config, for the controls", CONTROLS,
        table("{manifest}", lambda rows: rows.assign(model="gan")),
        says="results/manifests/crf23.parquet gives id0_id1_0000_iae the model gan, which its name does"),
    bad("masks", "are of an original", MASKS.replace("{master}", "{real}"),
        says="id0_0000_real.mp4 are no swap and the original of its scene; give the right ones"),
    bad("masks", "are of a swap and a swap", MASKS.replace("{real}", "{dfaker}"),
        says="id0_id1_0000_dfaker.mp4 are no swap and the original of its scene; give the right ones"),
    bad("masks", "are of a video at crf 23", MASKS.replace("{master}", "{lossy}"),
        says="only the crf 0 master is rendered"),
    bad("masks", "are of another model", MASKS.replace("{master}", "{dfaker}"),
        says="iae/model.safetensors is iae of id0 and id1, which did not make id0_id1_0000_dfaker"),
    bad("masks", "are of another config than the master", MASKS, key("render.erosion", 40),
        says="real.mp4 outside the face in frame 0; give the track, checkpoint and config that it was"),
    bad("masks", "have another suffix", MASKS.replace("m.mp4", "m.mkv"),
        says="--out is new/m.mkv, and is to end in .mp4; correct the name"),
    bad("masks", "are absent", "overlay {master} --out new.png", lambda: Path(PLACES["changed"]).unlink(),
        says="id0_id1_0000_iae.mp4 does not exist: originals have no mask"),
    bad("masks", "are a truncated video", "overlay {master} --out new.png", cut("{changed}", 100),
        says="results/masks/iae/id0_id1_0000_iae.mp4 contains no video stream"),
    bad("masks", "are truncated", "overlay {lossy} --show blend --out new.png", cut("{blend}", 200),
        says="id0_id1_0000_iae.safetensors is not a readable file of masks"),
    bad("masks", "are of no size", "overlay {lossy} --show blend --out new.png", about("{blend}", size=0),
        says="id0_id1_0000_iae.safetensors is not a readable file of masks"),
    bad("masks", "are of a smaller video", "overlay {lossy} --show blend --out new.png", about("{blend}", width=64),
        says="is of 64x96 pixels, results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 is not: it was"),
    bad("overlay", "is of a video without a mark", "overlay videos/id0_0000.mp4 --out new.png",
        says="videos/id0_0000.mp4 has no mark of this project"),
    bad("overlay", "is of an unknown mask", "overlay {lossy} --show edge --out new.png", says="invalid choice: 'edge'"),
    bad("overlay", "has another suffix", "overlay {lossy} --out new.jpg",
        says="--out is new.jpg, and is to end in .png or .mp4; correct the name"),
    bad("overlay", "is of a frame that is not there", "overlay {lossy} --frame 99 --out new.png",
        says="--frame 99: results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4 has the frames 0 to 11"),
    bad("forget", "is of nobody", "forget id9 --yes", says="neither the config nor results knows id9; correct the id"),
    bad("forget", "is of no person", "forget ../id1 --yes",
        says="'../id1' is not a person; people are called id0, id1"),
    bad("forget", "looks into what is no release", "forget id1 --yes --release videos",
        says="--release videos is no release: it has no SHA256SUMS; correct the path, or"),
    bad("forget", "has a damaged entry", "check", write("results/forgotten/id1.json", "{"),
        says="results/forgotten/id1.json is not readable JSON"),
    bad("forget", "was killed", "check",
        write("results/forgotten/id1.json", '{"person": "id1", "recordings": [], "began": "x", "version": "1", '
              '"files": {}, "bytes": 0, "left": ["results/x"]}'),
        says="id1 is being forgotten (results/forgotten/id1.json); run 'dfdm forget id1 --yes' again"),
    bad("forget", "was done", "check",
        write("results/forgotten/id1.json", '{"person": "id1", "recordings": [], "began": "x", "version": "1", '
              '"files": {}, "bytes": 0, "left": null}'),
        says="results 'results' have forgotten id1 (results/forgotten/id1.json); take id1 out of sources.people"),
    bad("region", "is truncated", "attribution train --crf 23 --manifest {manifest} --out new",
        key("attribution.region", "background"), key("attribution.real", False), key("controls", None),
        cut("{region}", 100),
        says="results/regions/id0_id1_0000.safetensors is not a readable region"),
    bad("classifier", "is truncated", SCORE, cut("{classifier}", 3000),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "has other weights", SCORE, lambda: flip(PLACES["classifier"], -10),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "is of an unknown model", SCORE, about("{classifier}", settings={"model": "oracle"}),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "has settings of a list", SCORE, about("{classifier}", settings=[]),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "has no classes", SCORE, about("{classifier}", classes=[]),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "has a class too many", SCORE, about("{classifier}", classes=["iae", "dfaker", "faceswap"]),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "has numbers as classes", PREDICT, about("{classifier}", classes=[1, 2]),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("classifier", "has an open set without a threshold", PREDICT.replace("videos/id0_0000.mp4", "{lossy}"),
        about("{classifier}", open_set={}),
        says="results/attribution/meso_inception4/scene/crf23/seed0/model.safetensors is not a"),
    bad("tune", "is a list", ATTR + " --tune {tune}", write("{tune}", "[]"),
        says="results/attribution/meso_inception4/tune.json: this is not a JSON object; delete the file"),
    bad("tune", "has a rate below 0", ATTR + " --tune {tune}", js("{tune}", "lr", -1.0), before="traceback",
        says="results/attribution/meso_inception4/tune.json: lr: input should be greater than 0; delete"),
    bad("tune", "has no figure", COMPARE, js("{tune}", "tried", [{"lr": 0.1}]),
        says="results/attribution/meso_inception4/tune.json: tried.0.validation_accuracy or"),
    bad("speed", "is a text", COMPARE, write("{speed}", '"fast"'),
        says="results/attribution/meso_inception4/scene/crf23/seed0/speed.json: this is not a JSON"),
    bad("speed", "is infinite", COMPARE, line("{speed}", "2.0", "Infinity"),
        says="results/attribution/meso_inception4/scene/crf23/seed0/speed.json: clips_per_second: input"),
    bad("scores", "is an object without keys", "scores", write("{scores}", "{}"),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/scores.json: classes is"),
    bad("scores", "has a figure that is not a number", "scores", js("{scores}", "figures.accuracy.value", "high"),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/scores.json:"),
    bad("scores", "has NaN", COMPARE, line("{scores}", '"chance": 0.2', '"chance": NaN'),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/scores.json: chance:"),
    bad("scores", "lacks the recall of a class", REPORT, js("{scores}", "recall", {}),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/scores.json: recall.iae"),
    bad("scores", "is truncated", REPORT, cut("{scores}", 1000),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/scores.json is not"),
    bad("scores", "is of another run, for the controls", CONTROLS, js("{scores}", "crf", "x"),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/scores.json: crf: input"),
    bad("predictions", "lacks a column", COMPARE, table("{predictions}", lambda rows: rows.drop(columns="p_iae")),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet"),
    bad("predictions", "has a class that is none", COMPARE,
        table("{predictions}", lambda rows: rows.assign(truth="gan")), before="traceback",
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet has"),
    bad("predictions", "has a probability that is not a number", COMPARE,
        table("{predictions}", lambda rows: rows.assign(p_iae=np.nan)), before="accepted",
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet has"),
    bad("predictions", "has words as probabilities", COMPARE,
        table("{predictions}", lambda rows: rows.assign(p_iae="much")), before="traceback",
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet has"),
    bad("predictions", "has a video twice", COMPARE, table("{predictions}", lambda rows: pd.concat([rows, rows[:1]])),
        before="accepted",
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet has"),
    bad("predictions", "has no line", COMPARE, table("{predictions}", lambda rows: rows[:0]), before="traceback",
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet has"),
    bad("predictions", "is a CSV", COMPARE, write("{predictions}", "name,truth\n"),
        says="results/attribution/meso_inception4/scene/crf23/seed0/test_crf23/predictions.parquet"),
    bad("comparison", "is a list", "scores", write("{comparison}", "[]"),
        says="results/attribution/comparison.json: this is not a JSON object; delete the file and run"),
    bad("comparison", "is of another version", REPORT, js("{comparison}", "table", [{"classifier": "x"}]),
        says="results/attribution/comparison.json: table.0.model is missing; delete the file and run"),
    bad("controls", "is a number", REPORT, write("{controls}", "5"),
        says="results/controls/meso_inception4/crf23.json: this is not a JSON object; delete the file"),
    bad("controls", "lacks the permuted", REPORT, js("{controls}", "permuted", None),
        says="results/controls/meso_inception4/crf23.json: permuted: input should be a valid dictionary"),
    bad("evaluation", "is a list", "scores --evaluate", write("{evaluation}", "[]"),
        says="results/evaluate/id0_id1/iae.json: this is not a JSON object; delete the file and run the"),
    bad("evaluation", "is of other people", "scores --evaluate", js("{evaluation}", "swaps.0.face_id", "id7"),
        before="traceback",
        says="results/evaluate/id0_id1/iae.json: swaps.0 is of other people than pair; delete the file"),
    bad("loss log", "is empty", REPORT, write("{loss}", ""), before="traceback",
        says="results/train/id0_id1/iae/loss.csv is not a readable table (No columns to parse from"),
    bad("loss log", "has other columns", REPORT, write("{loss}", "a,b\n1,2\n"), before="traceback",
        says="results/train/id0_id1/iae/loss.csv is not a readable table (it has no column iteration);"),
    bad("loss log", "has words", REPORT, write("{loss}", "iteration,loss_a,loss_b,lr\n1,x,y,z\n"), before="traceback",
        says="results/train/id0_id1/iae/loss.csv is not a readable table"),
    bad("loss log", "is binary", REPORT, write("{loss}", bytes(range(256))), before="traceback",
        says="results/train/id0_id1/iae/loss.csv is not a readable table"),
    bad("loss log", "has a cell too many", REPORT, write("{loss}", "iteration,loss_a,loss_b,lr\n1,2,3,4\n1,2,3,4,5\n"),
        before="traceback", says="results/train/id0_id1/iae/loss.csv is not a readable table"),
    bad("classifier's log", "has other columns", REPORT, write("{log}", "epoch\n1\n"), before="traceback",
        says="results/attribution/meso_inception4/scene/crf23/seed0/log.csv is not a readable table (it"),
    bad("preview", "is no picture", REPORT, write("results/train/id0_id1/iae/preview.png", "x"),
        says="results/train/id0_id1/iae/preview.png is not a readable picture; delete it and train again"),
    bad("benchmark", "is empty", REPORT, write("{benchmark}", ""), before="traceback",
        says="results/benchmarks/train/id0_id1.tsv is not a benchmark of Snakemake (No columns to parse"),
    bad("benchmark", "has other columns", REPORT, write("{benchmark}", "a\tb\n1\t2\n"), before="traceback",
        says="results/benchmarks/train/id0_id1.tsv is not a benchmark of Snakemake ('s'); delete it and"),
    bad("benchmark", "has words", REPORT, write("{benchmark}", "s\tmax_rss\nlong\tmuch\n"), before="traceback",
        says="results/benchmarks/train/id0_id1.tsv is not a benchmark of Snakemake"),
    bad("rates", "is an object without keys", "plan --rates rates.json", write("rates.json", "{}"),
        says="rates.json is not a table of rates (source is missing); 'dfdm plan --measure OUT' writes"),
    bad("rates", "is a list", "plan --rates rates.json", write("rates.json", "[]"),
        says="rates.json is not a table of rates (this is not a JSON object); 'dfdm plan --measure OUT'"),
    bad("rates", "has no bytes", "plan --rates rates.json", js("rates.json", "bytes_pixel", {}), before="traceback",
        says="rates.json is not a table of rates (bytes_pixel: dictionary should have at least 1"),
    bad("rates", "has bytes of 0", "plan --rates rates.json", js("rates.json", "bytes_pixel", {"0": 0, "23": 0}),
        before="accepted",
        says="rates.json is not a table of rates (bytes_pixel.0: input should be greater than 0); 'dfdm"),
    bad("rates", "has a GPU of 0", "plan --rates rates.json", js("rates.json", "gpu_gmac_second", 0),
        before="traceback",
        says="rates.json is not a table of rates (gpu_gmac_second: input should be greater than 0);"),
    bad("rates", "has seconds below 0", "plan --rates rates.json", js("rates.json", "seconds", {"faces": {"mpx": -1}}),
        before="accepted",
        says="rates.json is not a table of rates (seconds.faces.mpx: input should be greater than or"),
    bad("profile", "has no config", "plan --profile videos", says="videos has no readable config.yaml"),
    bad("profile", "is a list", "plan --profile profile", write("profile/config.yaml", "- a\n"), before="traceback",
        says="profile has no readable config.yaml (it contains no keys); give a profile's folder"),
    bad("profile", "has an unknown trigger", "plan --profile profile",
        write("profile/config.yaml", "rerun-triggers: [moon]\n"), before="traceback",
        says="profile: rerun-triggers is ['moon']; known are code, input, mtime, params, software-env"),
    bad("made record", "is damaged", CROPS, write("results/faces/.made/id0_0000.npz.json", "[]"),
        says="results/faces/.made/id0_0000.npz.json is no readable record; delete it and"),
    bad("made record", "is of another file", CROPS,
        write("results/faces/.made/id0_0000.npz.json", json.dumps({"stage": "faces", "size": 1, "sha256": "0" * 64})),
        says="results/faces/id0_0000.npz is not what the stage faces wrote: it was changed, replaced or"),
    bad("made record", "has a number as its job", CROPS,
        made_of("{track}", sources=5),
        says="results/faces/.made/id0_0000.npz.json is no readable record; delete it and"),
    bad("made record", "is of other recordings", "check",
        made_of("{record}", job={"number": 1, "settings": [], "inputs": {}, "versions": {}}),
        before="traceback", says="results/sources/.made/id0_0000.json.json is no readable record; delete it and"),
    bad("original's state", "is a list", IMPORT, write("iae_state.json", "[]"),
        says="iae_state.json is not a readable state file ('list' object is not a mapping); delete it"),
    bad("original's state", "has a word as coverage", IMPORT,
        write("iae_state.json", '{"config": {"centering": "face", "coverage": "wide"}}'), before="traceback",
        says="iae_state.json is not a readable state file"),
    bad("original's state", "has a list as config", IMPORT, write("iae_state.json", '{"config": [1]}'),
        says="iae_state.json is not a readable state file ('list' object is not a mapping); delete it"),
    bad("original's state", "has a word as iterations", IMPORT,
        write("iae_state.json", '{"iterations": "many", "config": {"centering": "face", "coverage": 87.5}}'),
        before="accepted",
        says="iae_state.json is not a readable state file (iterations is 'many', no count); delete it"),
    bad("original's state", "has an unknown centering", IMPORT,
        write("iae_state.json", '{"config": {"centering": "nose", "coverage": 87.5}}'),
        says="centering: input should be 'legacy', 'face' or 'head'"),
    bad("start_from", "is damaged", TRAIN, key("train.start_from", "state.pt"), cut("state.pt", 1000),
        says="train.start_from: state.pt cannot be read as a model or training state (training state"),
    bad("start_from", "is of another model", TRAIN, key("train.start_from", "state.pt"),
        says="train.start_from: state.pt contains dfaker at width 0.03125, which does not fit iae at"),
    bad("source video", "is another one", RENDER, copy("videos/id0_0001.mp4", "videos/id0_0000.mp4"),
        says="videos/id0_0000.mp4 is not the video that id0_0000 was probed from: it was replaced or"),
    bad("source video", "is truncated", "sources probe --scene id0_0000 --out new.json",
        cut("videos/id0_0000.mp4", 5000), says="videos/id0_0000.mp4 cannot be opened as a video"),
    bad("source video", "is a text", "sources probe --scene id0_0000 --out new.json",
        write("videos/id0_0000.mp4", "hello"), says="videos/id0_0000.mp4 cannot be opened as a video"),
    bad("source video", "is empty", "sources probe --scene id0_0000 --out new.json", write("videos/id0_0000.mp4", ""),
        says="videos/id0_0000.mp4 cannot be opened as a video"),
    bad("source video", "has fewer frames", "sources probe --scene id0_0000 --out new.json",
        key("sources.people.id0.scenes.0000.frames", [0, 500]),
        says="scene id0_0000: frames [0, 500) go beyond the 12 frames of videos/id0_0000.mp4"),
    bad("predictor", "is no predictor", FACES, key("faces.predictor", {"path": "id0_0001.mp4"}),
        says="videos/id0_0001.mp4 is not a dlib shape predictor (Error deserializing object of type"),
    bad("predictor", "is absent", FACES, key("faces.predictor", {"path": "none.dat"}),
        says="videos/none.dat does not exist; correct its path or pattern in the config, or sources.root"),
    bad("identity", "is no network", EVALUATE, key("evaluate.identity", {"path": "id0_0001.mp4"}),
        says="videos/id0_0001.mp4 is not a dlib face recognition network (An error occurred while"),
    bad("video's mark", "has a list of inputs", "provenance marked.mp4", lambda: mark(inputs=[1]), before="traceback",
        says="marked.mp4 has no mark of this project: another program made it, or it was removed"),
    bad("video's mark", "names an absolute path", "provenance marked.mp4", lambda: mark(name="/etc/passwd"),
        before="traceback", says="marked.mp4 has no mark of this project: another program made it, or it was removed"),
    bad("video's mark", "names a number as origin", "provenance marked.mp4", lambda: mark(origin=5), before="traceback",
        says="marked.mp4 has no mark of this project: another program made it, or it was removed"),
]
# fmt: on


def flip(path: str, at: int) -> None:
    """Change a byte of a file."""
    content = bytearray(Path(path).read_bytes())
    content[at] ^= 0x55
    Path(path).write_bytes(content)


def mark(**changed: Any) -> None:
    """A video whose mark was written by hand."""
    import av

    with (
        av.open("videos/id0_0000.mp4") as source,
        av.open("marked.mp4", "w", options={"movflags": "use_metadata_tags"}) as out,
    ):
        given = {"synthetic": True, "statement": "s", "name": "id0_id1_0000_iae", "model": "iae", "config_hash": "0"}
        out.metadata["comment"] = json.dumps({**given, "crf": 0, **changed})
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """The folder of all cases, which each leaves as it was, and its content."""
    place = tmp_path_factory.mktemp("bad") / "made"
    sandbox.build(place)
    return place, files(place)


@pytest.fixture
def here(made: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place, content = made
    monkeypatch.chdir(place)
    yield place
    sandbox.restore(place, content)


TOLD = re.compile(
    r".*: [0-9]+/-?[0-9]+ [a-z]+|collect: .*|attribution .*: no ImageNet weights|\w+ split(?: of [0-9]+ videos|: )"
    r"|\S+: [0-9]+ videos, [0-9]+ other files, "
)  # progress, and what docs say


def words(command: str) -> list[str]:
    return [word.format_map(PLACES) if "{" in word else word for word in shlex.split(command)]


def one_line(err: str) -> str:
    (found,) = [line for line in err.splitlines() if not TOLD.match(line)]
    return found


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.where} {case.what}".encode("ascii", "replace").decode()
)
def test_bad_input_is_one_sentence_and_every_file_stays_as_it_was(case: Case, here: Path) -> None:
    for change in case.changes:
        change()
    before = files(here)
    done = dfdm(*words(case.command))
    assert done.escaped is None
    assert done.status == case.status
    said = one_line(done.err)
    assert said.startswith("dfdm")
    assert case.says in said
    assert len(said) < 900
    assert files(here) == before


def test_no_place_has_two_cases_of_one_kind() -> None:
    kinds = [(case.where, case.what) for case in CASES]
    assert len(set(kinds)) == len(kinds) >= 150


def test_every_command_and_every_section_of_the_config_has_a_case() -> None:
    given = [case.command for case in CASES]
    lacking = [name for name in cli.COMMANDS if not any(line.startswith(name) for line in given)]
    assert lacking == []
    places = " ".join(case.where for case in CASES)
    sections = [name for name, kind in Config.model_fields.items() if name not in {"scale", "scales"}]
    assert [name for name in sections if name not in places.replace("people", "people sources")] == []


def test_the_other_videos_have_their_answers_where_one_is_bad(
    here: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = probe(clips / "WolfgangLanger_Pexels.mp4", "id0_0000", {"path": "x"}, (300, 306))
    for name in ("a.mp4", "c.mp4"):
        planes = read_planes(clips / "WolfgangLanger_Pexels.mp4", record)
        write_master(
            Path(name), planes, record, clips / "WolfgangLanger_Pexels.mp4", EncodeConfig(preset="ultrafast"), {}
        )
    Path("b.mp4").write_bytes(Path("a.mp4").read_bytes()[:9000])
    wrong = ["b.mp4", "", "\udcff.mp4", LONG, "videos", "config.yaml"]
    done = dfdm("predict", "a.mp4", *wrong, "c.mp4", "--classifier", PLACES["classifier"], "--json", "said.json")
    assert (done.status, done.escaped) == (3, None)
    assert [line.split(":")[0] for line in done.out.splitlines() if not line.startswith(" ")] == ["a.mp4", "c.mp4"]
    assert sum(line.startswith("dfdm: ") for line in done.err.splitlines()) == len(wrong)
    found = json.loads(Path("said.json").read_text())
    assert [len(found["videos"]), len(found["failures"])] == [2, len(wrong)]


# through a process of its own


def process(*given: str | bytes, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **options.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(["dfdm", *given], cwd=cwd, env=environment, **pipes)


@pytest.mark.long
@pytest.mark.parametrize("command", ["--help", "check", "scores", "verify results", "plan --json"])
def test_a_closed_pipe_ends_a_command_without_a_word(command: str, here: Path) -> None:
    write("results/faces/.made/x.npz.json", json.dumps({"stage": "faces", "size": 1, "sha256": "0"}))()  # for verify
    running = process(*command.split(), cwd=here)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    err = running.stderr.read()
    assert running.wait() == 128 + signal.SIGPIPE
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (ATTR, "device is 'cuda', but torch sees no CUDA device here; use device: auto or cpu"),
        (RENDER, "device is 'cuda', but torch sees no CUDA device here"),
        (TRAIN.replace("{track}", "config.yaml"), "config.yaml is not a readable face track"),
        (SCORE, "device is 'cuda', but torch sees no CUDA device here"),
        ("report --out /sys/x/report.html", "/sys/x"),
        ("attribution comparison --out rates.json/x.json", "is no folder; name another output"),
    ],
)
def test_a_command_says_one_sentence_to_the_terminal(command: str, says: str, here: Path) -> None:
    key("device", "cuda")()
    before = files(here)
    running = process(*words(command), cwd=here)
    out, err = running.communicate()
    assert (running.returncode, out) == (2, "")
    assert says in one_line(err)
    assert files(here) == before


@pytest.mark.long
def test_a_name_that_is_not_utf_8_is_refused(here: Path) -> None:
    running = process("check", "--config", b"\xff.yaml", cwd=here)
    assert one_line(running.communicate()[1]).startswith("dfdm check: argument --config: '\\udcff.yaml' is not UTF-8")
    assert running.returncode == 2


@pytest.mark.long
def test_a_full_disk_below_stdout_is_one_sentence(here: Path) -> None:
    with open("/dev/full", "w") as full:
        running = process("scores", cwd=here, stdout=full)
        assert "No space left on device" in one_line(running.communicate()[1])
    assert running.returncode == 2


@pytest.mark.long
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", [ATTR, "plan"])
def test_a_stopped_command_leaves_no_half_file(number: int, status: int, command: str, here: Path) -> None:
    key("attribution.epochs", 100_000)()
    for lock in here.glob("results/state/*/lock"):  # of an earlier case
        lock.unlink()
    running = process(*words(command), cwd=here)
    assert running.stderr is not None
    state = Path(f"/proc/{running.pid}/status")
    while not int(state.read_text().partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1:
        time.sleep(0.01)  # until it has begun and handles signals
    if command == ATTR:
        wait_for(here, "results/state/*/lock")
    time.sleep(0.3)  # into its work; the plan takes about a second
    running.send_signal(number)
    err = running.communicate(timeout=60)[1]
    assert running.returncode == status
    assert "Traceback" not in err
    assert not [path for path in here.rglob(".*.tmp*") if path.is_file()]
    assert not Path("new").exists()


def wait_for(folder: Path, pattern: str) -> None:
    for _ in range(600):
        if any(folder.glob(pattern)):
            return
        time.sleep(0.1)
    raise AssertionError(f"{pattern} did not appear")
