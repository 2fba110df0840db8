"""The papers of a release: its card, its datasheet, its config, and what Croissant's fields say of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from dfdm import __version__
from dfdm.base.names import REAL
from dfdm.base.text import listed, percent, size_text, spelled
from dfdm.catalogue.config import Config
from dfdm.dataset.splits import PARTS

_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])|^([-+]|\d+[.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_CITE = (
    "Shan Jia, Xin Li, Siwei Lyu: Model Attribution of Face-Swap Deepfake Videos. IEEE International Conference on "
    "Image Processing (ICIP), 2022. arXiv 2202.12951."
)


@dataclass(frozen=True)
class Facts:
    """What every paper says of a release, from its config and manifest."""

    cfg: Config
    rows: pd.DataFrame
    included: Mapping[str, str]  # people against whom something stands, and why they are in it nevertheless
    date: str
    signed: str  # by whom the videos are signed, in words; '' where they are not
    masks: bool

    @property
    def people(self) -> list[str]:
        """Everyone shown."""
        return [one for one in self.cfg.sources.people if one in {*self.rows["video_id"], *self.rows["face_id"]}]

    @property
    def counts(self) -> pd.DataFrame:
        """Videos, frames and bytes of each quality and model, the originals last."""
        made = self.rows.groupby(["crf", "model"], sort=False)
        return made.agg(videos=("name", "size"), frames=("frames", "sum"), bytes=("bytes", "sum")).reset_index()

    @property
    def splits(self) -> dict[str, dict[str, int]]:
        """Videos of each part of each split that was made."""
        columns = [name for name in map(str, self.rows) if name.startswith("split_") and self.rows[name].notna().any()]
        return {name: {part: int(self.rows[name].eq(part).sum()) for part in PARTS} for name in columns}

    @property
    def summary(self) -> str:
        """It in two sentences."""
        names = self.rows.drop_duplicates("name")
        swaps, people = int((names["model"] != REAL).sum()), spelled(len(self.people), "person", "people")
        models = [model for model in self.cfg.models if model in set(names["model"])]
        by = f" by {spelled(len(models), 'autoencoder')} ({listed(models)})" if models else ""
        made = f"{spelled(swaps, 'face-swap video')}{by} and {spelled(len(names) - swaps, 'original')} of {people}"
        qualities = listed([str(crf) for crf in sorted(self.rows["crf"].unique())])
        return (
            f"{made[0].upper()}{made[1:]}, each as H.264 at crf {qualities}. "
            "For research on detecting and attributing generated video."
        )


def text(facts: Facts, name: str, **more: object) -> str:
    """A paper by its template's name, such as card.md, to which `more` is passed."""
    loader = jinja2.PackageLoader("dfdm.release", ".")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(md=escaped, size=size_text, percent=percent, listed=listed, spelled=spelled)
    values = {"facts": facts, "cfg": facts.cfg, "head": _head(facts), "version": __version__, "cite": _CITE}
    return environment.get_template(name).render(values | {"real": REAL} | more)


def escaped(given: object) -> str:
    """A text of the config as one line of Markdown that shows it as it is: nothing in it is markup."""
    line = "".join(_ENTITIES.get(one, one) for one in " ".join(str(given).split()))
    return _SPECIAL.sub(lambda found: f"\\{found[1]}" if found[1] else f"&#8203;{found[2]}", line)


def config(cfg: Config) -> str:
    """The config without the folders of the machine that it was used on, as YAML; paths keep their last part."""
    values = cfg.model_dump(mode="json", exclude_none=True, exclude={"results", "state_dir", "release"})
    for key in ("root", "cache", "table"):
        values["sources"].pop(key, None)
    return f"# What this data set was made with: dfdm-pipeline {__version__}.\n" + yaml.safe_dump(
        _portable(values), sort_keys=False, allow_unicode=True, width=120
    )


def portable(path: str) -> str:
    """A path as it is if it is relative, else its last part."""
    return Path(path).name if re.match(r"[/~\\$]|[A-Za-z]:[/\\]|\.\.", path) else path


def _portable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _portable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_portable(inner) for inner in value]
    return portable(value) if isinstance(value, str) else value


def _head(facts: Facts) -> str:
    """The card's YAML."""
    qualities = sorted(facts.rows["crf"].unique())
    count, sizes = len(facts.rows), (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5))
    data = {
        "pretty_name": facts.cfg.release.name,
        "license": "other",
        "license_name": "per-person",
        "license_link": "DATASHEET.md",
        "task_categories": ["video-classification"],
        "tags": ["deepfake-detection", "face-swap", "model-attribution", "synthetic", "video", "croissant"],
        "size_categories": [next((name for name, most in sizes if count < most), "100K<n<1M")],
        "configs": [
            {
                "config_name": name,
                "default": name == "all",
                "data_files": [{"split": "data", "path": [f"{folder}/metadata.parquet", f"{folder}/*/*.mp4"]}],
            }
            for name, folder in (("all", "DFDM_crf*"), *((f"crf{crf}", f"DFDM_crf{crf}") for crf in qualities))
        ],
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def about(facts: Facts) -> dict[str, Any]:
    """What schema.org's fields say."""
    release = facts.cfg.release
    licences = dict.fromkeys(facts.cfg.sources.people[person].licence for person in facts.people)
    return {
        "name": release.name,
        "description": facts.summary,
        "version": __version__,
        "license": list(licences),
        "datePublished": facts.date,
        "citeAs": _CITE,
        "creator": {"@type": "sc:Organization", "name": release.contact or "not given"},
        **({"url": release.url} if release.url else {}),
    }


def responsible(facts: Facts) -> dict[str, str]:
    """What the responsible-AI fields say."""
    people = facts.cfg.sources.people
    consent = "; ".join(f"{person}: {people[person].consent}" for person in facts.people)
    included = "; ".join(f"{person} is included nevertheless: {why}" for person, why in facts.included.items())
    return {
        "dataCollection": "Recordings of the people named in the config; autoencoders swapped their faces.",
        "dataCollectionType": "Synthetic data generation",
        "dataPreprocessingProtocol": f"One face is followed by {facts.cfg.faces.detector}; H.264 at several crf.",
        "machineAnnotationTools": f"{facts.cfg.faces.detector} (68 landmarks)",
        "dataUseCases": "Detecting face swaps and naming the model that made them. Not: identifying, imitating.",
        "dataLimitations": f"{spelled(len(facts.people), 'person', 'people')} and {len(facts.cfg.models)} generators; "
        "results do not carry over to others.",
        "dataBiases": "Who is shown was not sampled; age, sex and skin tone are neither balanced nor recorded.",
        "personalSensitiveInformation": f"Faces of real people. Consent: {consent}. {included}".strip(),
        "dataSocialImpact": "Swaps can be taken for recordings; every file says in its metadata that it is synthetic.",
        "dataReleaseMaintenancePlan": f"Contact: {facts.cfg.release.contact or 'not given'}.",
    }
