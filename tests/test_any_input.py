"""Any input at all: what is not accepted is a DfdmError of one line, never another exception.

The fast suite tries some examples of each; `-m slow` tries ten times as many.
"""

import argparse
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as some
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings

from dfdm.base import names
from dfdm.base.errors import DfdmError, refused, shown
from dfdm.base.files import read_json
from dfdm.base.plain import from_json, from_yaml
from dfdm.catalogue.config import load
from dfdm.catalogue.discover import natural
from dfdm.catalogue.foreign import video_name
from dfdm.commands.interface import place, whole
from dfdm.dataset.provenance import read_mark
from dfdm.dataset.sidecar import Sidecar
from dfdm.dataset.splits import check_manifest, read_rows
from dfdm.media.video import probe
from dfdm.plan.rates import load as load_rates
from dfdm.report.results import read_losses
from tests import sandbox
from tests.generators.original_files import WRITERS

SLOW = 10
CONFIG = sandbox.values()
KEYS = ["seed", "crf", "swaps", "models", "train", "sources", "people", "id0", "scenes", "0000", "lr", "frames", "<<"]
TEXTS = some.one_of(
    some.text(max_size=12), some.sampled_from([*KEYS, "id0_id1", "iae", "~nobody", "", "1e3", "yes", "nan"])
)
SCALARS = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(), TEXTS, some.dates(), some.binary(max_size=4)
)
VALUES = some.recursive(
    SCALARS,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(TEXTS | some.integers(), inner, max_size=4),
    max_leaves=8,
)


def accepted(call: Callable[..., object], *arguments: Any) -> bool:
    """Whether a call takes its arguments; it may only refuse them by a DfdmError of one line."""
    said = "accepted"
    try:
        call(*arguments)
    except DfdmError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    assert said.isprintable()
    return said == "accepted"


def tried(times: int) -> Any:
    """How many examples a test takes; the same ones each time, since a suite should not fail by chance."""
    return settings(
        max_examples=times,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def many(times: int, **examples: Any) -> Callable[[Any], Any]:
    """A test in two sizes: `times` examples in the fast suite, SLOW times as many among the slow ones."""

    def decorate(test: Any) -> Any:
        @pytest.mark.parametrize(
            "size", [pytest.param(1, id="few"), pytest.param(SLOW, id="many", marks=pytest.mark.slow)]
        )
        def sized(size: int, tmp_path: Path, made: Path) -> None:
            tried(times * size)(given(**examples)(lambda **found: test(tmp_path, made, **found)))()

        sized.__name__ = test.__name__
        return sized

    return decorate


def paths_of(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place in nested dicts."""
    inner = (
        [found for key, part in value.items() for found in paths_of(part, (*above, key))]
        if isinstance(value, dict)
        else []
    )
    return [above, *inner] if above else inner


def put(value: Any, at: tuple[str, ...], new: Any) -> Any:
    """A copy of nested dicts with another value at a place."""
    return {**value, at[0]: put(value[at[0]], at[1:], new) if at[1:] else new}


@many(250, at=some.sampled_from(paths_of(CONFIG)), new=VALUES)
def test_any_value_of_any_key_of_the_config(tmp_path: Path, made: Path, at: tuple[str, ...], new: Any) -> None:
    accepted(load, put(CONFIG, at, new))


@many(150, at=some.sampled_from([(), *paths_of(CONFIG)]), key=TEXTS, new=VALUES)
def test_any_key_in_any_section_of_the_config(
    tmp_path: Path, made: Path, at: tuple[str, ...], key: str, new: Any
) -> None:
    around = CONFIG
    for part in at:
        around = around[part]
    if isinstance(around, dict):
        accepted(load, put(CONFIG, at, {**around, key: new}) if at else {**CONFIG, key: new})


@many(
    150,
    start=some.integers(0, 2000),
    length=some.integers(0, 40),
    new=some.text(max_size=10)
    | some.sampled_from(["\t&a", "*a", "<<:", "-", ":", "[", "{", "|", ">", "!", "%", "@", "\ufeff", "\x00"]),
)
def test_any_edit_of_a_configs_text(tmp_path: Path, made: Path, start: int, length: int, new: str) -> None:
    text = yaml.safe_dump(CONFIG)
    path = tmp_path / "c.yaml"
    path.write_text(text[:start] + new + text[start + length :], encoding="utf-8", errors="surrogatepass")
    accepted(load, path)


@many(150, content=some.binary(max_size=80) | some.text("{}[]&*!|>:-,#'\"\\\n\t a1", max_size=80).map(str.encode))
def test_any_bytes_as_a_config_and_as_json(tmp_path: Path, made: Path, content: bytes) -> None:
    for name in ("c.yaml", "c.json"):
        path = tmp_path / name
        path.write_bytes(content)
        accepted(load, path)
    accepted(read_json, path)
    accepted(Sidecar.read, path)
    accepted(load_rates, path)


@many(200, text=TEXTS | some.from_regex(r"\Aid\d{1,3}(_id\d{1,3})?_\d{4}(_\w+)?\Z") | some.text())
def test_any_name(tmp_path: Path, made: Path, text: str) -> None:
    accepted(names.parse_name, text)
    accepted(names.parse_clip, text)
    accepted(names.pair_of, text, "id1")
    accepted(names.encoded_of, f"DFDM_crf{text}/iae/{text}.mp4")
    names.known_name(text)
    video_name(text, "iae")
    natural(text)
    if (name := names.known_name(text)) is not None:
        assert str(name) == text
        assert text.isascii()
    for kind in (whole, place):
        try:
            kind(text)
        except (argparse.ArgumentTypeError, ValueError):
            continue
    assert len(shown(text).splitlines()) <= 1
    assert len(refused(OSError(36, "File name too long", text)).splitlines()) == 1


COLUMNS = ["name", "model", "crf", "crops", "sha256", "split_scene", "split_identity"]
CELLS = some.one_of(
    some.none(), some.integers(-5, 60), some.floats(), TEXTS, some.sampled_from(["train", "test", "id0_0000_real"])
)


@many(60, column=some.sampled_from(COLUMNS), cells=some.lists(CELLS, min_size=9, max_size=9))
def test_any_column_of_a_manifest(tmp_path: Path, made: Path, column: str, cells: list[Any]) -> None:
    path = tmp_path / "m.parquet"
    rows = pd.read_parquet(made / "results/manifests/crf23.parquet").astype({column: object})
    rows[column] = cells
    try:
        rows.to_parquet(path)
    except (ValueError, TypeError, OverflowError):  # pyarrow takes no column of several types
        rows[column] = [str(cell) for cell in cells]
        rows.to_parquet(path)

    def read() -> None:
        for kind in ("scene", "identity"):
            found = read_rows(path, [*COLUMNS[:5], f"split_{kind}"])
            check_manifest(found.rename(columns={f"split_{kind}": "part"}), kind)

    accepted(read)


@many(60, start=some.integers(0, 120), length=some.integers(0, 30), new=some.binary(max_size=20))
def test_any_edit_of_a_loss_log(tmp_path: Path, made: Path, start: int, length: int, new: bytes) -> None:
    content, path = (made / "results/train/id0_id1/iae/loss.csv").read_bytes(), tmp_path / "loss.csv"
    path.write_bytes(content[:start] + new + content[start + length :])
    accepted(read_losses, path)


@many(
    60, size=some.floats(0, 1), flips=some.lists(some.tuples(some.floats(0, 0.999), some.integers(1, 255)), max_size=6)
)
def test_any_damage_of_a_video(tmp_path: Path, made: Path, size: float, flips: list[tuple[float, int]]) -> None:
    content = bytearray((made / "results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4").read_bytes())
    for at, change in flips:
        content[int(at * len(content))] ^= change
    path = tmp_path / "v.mp4"
    path.write_bytes(content[: round(size * len(content))])
    accepted(probe, path, "id0_0000", {"path": "v.mp4"})
    accepted(read_mark, path)


READERS = ("safetensors", "npz", "pt")


@many(
    40,
    kind=some.sampled_from(READERS),
    size=some.floats(0, 1),
    flips=some.lists(some.tuples(some.floats(0, 0.999), some.integers(1, 255)), max_size=4),
)
def test_any_damage_of_weights(
    tmp_path: Path, made: Path, kind: str, size: float, flips: list[tuple[float, int]]
) -> None:
    from dfdm.base.states import load_state
    from dfdm.dataset.crops import CropReader
    from generators.checkpoint import load as load_model
    from generators.exchange import read_npz

    for source, reader in {
        "results/train/id0_id1/iae/model.safetensors": load_model,
        "results/crops/crf23/iae/id0_id1_0000_iae.safetensors": CropReader,
        "iae.npz": read_npz,
        "state.pt": load_state,
    }.items():
        if not source.endswith(kind):
            continue
        path = tmp_path / Path(source).name
        shutil.copy(made / source, path)
        with open(path, "r+b") as file:
            whole_size = os.fstat(file.fileno()).st_size
            for at, change in flips:
                file.seek(int(at * min(whole_size, 3000)))  # where the header is
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ change]))
            if size < 0.5:
                file.truncate(round(2 * size * whole_size))
        accepted(reader, path)


@many(
    30,
    kind=some.sampled_from(sorted(WRITERS)),
    size=some.floats(0, 1),
    flips=some.lists(some.tuples(some.floats(0, 0.999), some.integers(1, 255)), max_size=4),
)
def test_any_damage_of_a_model_file_of_the_original(
    tmp_path: Path, made: Path, kind: str, size: float, flips: list[tuple[float, int]]
) -> None:
    from generators.exchange import padding_of
    from generators.keras_file import opened

    def read(path: Path) -> None:
        padding_of(path)
        with opened(path, 10**6) as parts:
            for array in (one for list_ in parts.values() for one in list_ if one.size < 10**6):
                array[...]

    path = tmp_path / kind
    WRITERS[kind](path, {"encoder": [np.ones((5, 5, 3, 4), np.float32), np.ones(4, np.float32)]})
    whole = bytearray(path.read_bytes())
    for at, change in flips:
        whole[int(at * len(whole))] ^= change
    path.write_bytes(whole[: round(2 * size * len(whole))])
    accepted(read, path)


def test_yaml_gives_what_pyyaml_gives() -> None:
    for path in [sandbox.ROOT / "config.yaml", *(sandbox.ROOT / "workflow/configs").glob("*.yaml")]:
        assert from_yaml(path.read_text()) == yaml.safe_load(path.read_text())
    assert from_yaml("a: &x {b: 1}\nc: {<<: *x, d: 2}") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}
    assert from_yaml("") is None
    assert from_json('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
