"""The rules themselves, read once: what each carries, each target's exact jobs, and what its jobs take in."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from attribution.run import Run
from dfdm.base.names import REAL
from dfdm.catalogue.config import Config, load
from dfdm.catalogue.layout import Layout, stage_of, targets
from dfdm.catalogue.schedule import main_runs

ROOT = Path(__file__).parent.parent.parent
CONFIG = load(ROOT / "config.yaml")
LAYOUT = Layout(CONFIG.results)
STAGES = [
    "all_faces",
    "all_controls",
    "all_masks",
    "attribution",
    *(f"attribution_crf{crf}" for crf in CONFIG.qualities),
    "all_evaluate",
    "report",
    "all",
]
TARGETS = [*targets(CONFIG), *STAGES]
Jobs = set[tuple[str, ...]]


@pytest.fixture(scope="session")
def read(project: Path) -> dict[str, Any]:
    """What read_rules.py prints of the shipped config, every target named."""
    command = [sys.executable, ROOT / "tests/workflow/read_rules.py", "config.yaml", *TARGETS]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_rule_that_runs_a_command_has_log_benchmark_and_message(read: dict[str, Any]) -> None:
    working = [rule for rule in read["rules"] if rule["shell"]]
    trainings = {f"train_{model}" for model in CONFIG.models}
    assert {rule["name"] for rule in working} >= trainings | {"sources_probe", "report"}
    for rule in working:
        assert len(rule["log"]) == 1, rule
        assert rule["benchmark"], rule
        assert "{log:q}" in rule["shell"], rule
    for rule in read["rules"]:
        assert rule["message"], rule
    places = Counter((rule["log"][0], rule["benchmark"]) for rule in working)
    assert max(places.values()) == 1  # no two rules write the same log


def test_a_rule_its_command_its_folders_and_its_message_have_one_name(read: dict[str, Any]) -> None:
    working = [rule for rule in read["rules"] if rule["shell"]]
    for rule in working:
        words = re.match(r"dfdm ([a-z]+(?: [a-z]+)*) --", rule["shell"])
        assert words is not None, rule["shell"]
        stage = "_".join(words[1].split())
        assert rule["name"] in (stage, f"{stage}_{rule['name'].removeprefix('train_')}")
        assert rule["log"][0].startswith(f"{CONFIG.results}/logs/{stage}/"), rule
        assert rule["benchmark"].startswith(f"{CONFIG.results}/benchmarks/{stage}/"), rule
        assert stage_of(rule["name"]) == stage
    for rule in read["rules"]:
        assert rule["message"].partition(":")[0] == rule["name"]
    assert len(working) > 15


def test_every_named_target_of_the_config_is_a_rule_and_nothing_else_is(read: dict[str, Any]) -> None:
    one_file = {"sources_predictor", "sources_identity"}  # they have no wildcard
    assert {rule["name"] for rule in read["rules"] if rule["target"]} == {*TARGETS, *one_file}


def models_of(target: str) -> list[str]:
    named = [model for model in CONFIG.models if target == model or target.startswith(f"{model}_crf")]
    return named or list(CONFIG.models)


def qualities_of(target: str) -> list[int]:
    return [crf for crf in CONFIG.qualities if target.endswith(f"crf{crf}")] or list(CONFIG.qualities)


def expected_jobs(cfg: Config, target: str) -> Jobs:
    """Every job of a target, from the config's lists alone."""
    stage = target.partition("_crf")[0]
    faces: Jobs = {
        ("sources_predictor",),
        ("sources_identity",),
        *((rule, key) for rule in ("sources_probe", "faces") for key in cfg.scene_keys),
    }
    if target == "all_faces":
        return {("all_faces",), *faces}
    if target == "all":
        return {("all",)} | expected_jobs(cfg, "report") | expected_jobs(cfg, "dataset") - {("dataset",)}
    if target == "all_evaluate":
        jobs = {("all_evaluate",), *faces}
        for pair in cfg.pairs:
            jobs |= {(rule, pair) for rule in (f"train_{model}" for model in cfg.models)}
            jobs |= {("evaluate", pair, model) for model in cfg.models}
        return jobs | {("render", clip.clip, model) for clip in cfg.clips for model in cfg.models}
    masks: Jobs = {("masks", clip.clip, model) for clip in cfg.clips for model in cfg.models}
    if target == "all_masks":
        jobs = {("all_masks",), *faces, *masks, *(("original", key) for key in {c.scene_key for c in cfg.clips})}
        jobs |= {(f"train_{model}", pair) for model in cfg.models for pair in cfg.pairs}
        return jobs | {("render", *name) for _, *name in masks}
    if target == "all_controls":
        jobs = expected_jobs(cfg, "attribution") - {("attribution",)}
        jobs |= {("crops", clip, REAL, str(crf)) for clip in {c.scene_key for c in cfg.clips} for crf in cfg.qualities}
        return jobs | {("all_controls",), *(("controls", "dma_sta", str(crf)) for crf in cfg.qualities)}
    everything = stage in ("dataset", "attribution", "report")
    models = list(cfg.models) if everything or stage.startswith("crf") else models_of(target)
    qualities = qualities_of(target)
    scenes = {clip.scene_key for clip in cfg.clips}
    swaps = [(clip.clip, model) for clip in cfg.clips for model in models]
    originals = [(scene, REAL) for scene in scenes] if everything or stage.startswith("crf") else []
    jobs: Jobs = {(target,), *faces, *((f"train_{model}", pair) for model in models for pair in cfg.pairs)}
    jobs |= {("render", *video) for video in swaps} | {("original", scene) for scene, _ in originals}
    jobs |= {("encode", *video, str(crf)) for video in [*swaps, *originals] for crf in qualities if crf}
    cropped = swaps if stage in ("attribution", "report") else [*swaps, *originals]
    jobs |= {("crops", *video, str(crf)) for video in cropped for crf in qualities}
    if stage in ("dataset", "report"):
        jobs |= {("manifest", "dataset")}
    if stage in ("attribution", "report"):
        jobs |= {("manifest", f"crf{crf}") for crf in qualities}
        jobs |= {
            (rule, str(run))
            for rule in ("attribution_train", "attribution_score")
            for run in main_runs(cfg)
            if int(run.crf) in qualities
        }
    if stage == "report":
        jobs |= masks | expected_jobs(cfg, "all_evaluate") - {("all_evaluate",)}
        jobs |= expected_jobs(cfg, "all_controls") - {("all_controls",)}
    return jobs


def run_of(wildcards: dict[str, str]) -> str:
    """The training that a job's wildcards name; a score's own quality is here that of its training."""
    assert wildcards.get("crf", wildcards["train"]) == wildcards["train"]
    return str(Run(wildcards["classifier"], wildcards["split"], wildcards["train"], int(wildcards["seed"])))


@pytest.mark.parametrize("target", TARGETS)
def test_a_named_target_is_exactly_its_own_jobs(read: dict[str, Any], target: str) -> None:
    order = ("scene", "pair", "clip", "model", "classifier", "crf", "target")
    found = [
        (job["rule"], run_of(job["wildcards"]))
        if job["rule"] in ("attribution_train", "attribution_score")
        else (job["rule"], *(job["wildcards"][name] for name in order if name in job["wildcards"]))
        for job in read["jobs"][target]
    ]
    assert len(found) == len(set(found))
    # a rule for one model or scene kind alone leaves the wildcard out
    assert set(found) == expected_jobs(CONFIG, target)


def jobs_of(read: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    found = [job for job in read["jobs"]["all"] if job["rule"] == rule]
    assert found
    return found


def test_a_training_takes_every_scene_of_its_two_people_and_no_other(read: dict[str, Any]) -> None:
    for model in CONFIG.models:
        for job in jobs_of(read, f"train_{model}"):
            first, second = job["wildcards"]["pair"].split("_")
            scenes = [key for key in CONFIG.scene_keys if key.split("_")[0] in (first, second)]
            assert sorted(job["input"]) == sorted(LAYOUT.track(key) for key in scenes)
            assert LAYOUT.checkpoint(f"{first}_{second}", model) in job["output"]


def test_a_swap_takes_the_scene_it_shows_and_the_weights_of_its_unordered_pair(read: dict[str, Any]) -> None:
    for job in jobs_of(read, "render"):
        video_id, face_id, scene = job["wildcards"]["clip"].split("_")
        pair = "_".join(sorted((video_id, face_id), key=lambda person: int(person[2:])))
        weights = LAYOUT.checkpoint(pair, job["wildcards"]["model"])
        assert set(job["input"]) == {LAYOUT.track(f"{video_id}_{scene}"), weights}


def test_a_quality_is_encoded_from_the_master_of_the_same_name(read: dict[str, Any]) -> None:
    for job in jobs_of(read, "encode"):
        clip, model, crf = (job["wildcards"][name] for name in ("clip", "model", "crf"))
        assert LAYOUT.video(clip, model, 0) in job["input"]
        assert LAYOUT.track(f"{clip.split('_')[0]}_{clip.split('_')[-1]}") in job["input"]
        assert set(job["output"]) == {LAYOUT.video(clip, model, crf), LAYOUT.sidecar(clip, model, crf)}


def test_crops_are_cut_from_the_encoded_video_of_their_own_quality(read: dict[str, Any]) -> None:
    for job in jobs_of(read, "crops"):
        clip, model, crf = (job["wildcards"][name] for name in ("clip", "model", "crf"))
        assert LAYOUT.video(clip, model, crf) in job["input"]
        assert job["output"] == [LAYOUT.crops(clip, model, crf)]


def test_a_classifier_takes_the_swaps_crops_of_its_quality_and_no_originals(read: dict[str, Any]) -> None:
    for job in (*jobs_of(read, "attribution_train"), *jobs_of(read, "attribution_score")):
        crf, run = job["wildcards"]["train"], run_of(job["wildcards"])
        crops = {LAYOUT.crops(clip.clip, model, crf) for clip in CONFIG.clips for model in CONFIG.models}
        tracks = map(LAYOUT.track, CONFIG.scene_keys)
        more = {LAYOUT.run(run), *tracks} if job["rule"] == "attribution_score" else set()
        assert set(job["input"]) == {*crops, *more, LAYOUT.manifest(f"crf{crf}")}


def test_a_manifest_merges_the_sidecars_of_its_target(read: dict[str, Any]) -> None:
    for job in jobs_of(read, "manifest"):
        crfs = qualities_of(job["wildcards"]["target"])
        swaps = {
            LAYOUT.sidecar(clip.clip, model, crf) for clip in CONFIG.clips for model in CONFIG.models for crf in crfs
        }
        scenes = {clip.scene_key for clip in CONFIG.clips}
        assert set(job["input"]) == swaps | {LAYOUT.sidecar(scene, REAL, crf) for scene in scenes for crf in crfs}
