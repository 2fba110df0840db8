import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import copy_run

from attribution.results import Comparison, Controls, Scores, Speed, Training, Tune
from dfdm.base.files import read_json, sha256
from dfdm.base.records import every
from dfdm.catalogue.config import load
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.dataset.crops import CropReader
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.masks import extended_polygon
from dfdm.media.planes import split_planes
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord, of_encoded, read_planes
from dfdm.plan.graph import build
from dfdm.report.times import bytes_written
from generators.results import Evaluation
from tests.commands import ran
from tests.result_files import delete_each_key

ROOT = Path(__file__).parent.parent.parent
Snakemake = Callable[..., subprocess.CompletedProcess[str]]
Small = Callable[..., Path]


def jobs(done: subprocess.CompletedProcess[str]) -> Counter[str]:
    """The job counts that a dry run prints; none only where it says that there is nothing to do."""
    assert done.returncode == 0, done.stderr[-4000:]
    printed = done.stdout + done.stderr
    text = printed.partition("job  ")[2].partition("total")[0]
    counts = Counter({name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", text, re.MULTILINE)})
    assert counts or "Nothing to be done" in printed, printed[-4000:]
    return counts


def dry_run(snakemake: Snakemake, config: Path, *targets: str) -> Counter[str]:
    return jobs(snakemake(*targets, "--cores", 2, "--dry-run", "--quiet", "rules", "--configfile", config))


def would_run(project: Path, config: Path, *targets: str) -> Counter[str]:
    """The jobs that a dry run counts, from the graph in this process (test_plan.py compares it with dry runs)."""
    with chdir(project):
        return Counter(job.rule for job in build(config, targets)[0] if job.reason)


def test_every_video_has_sidecar_crops_and_a_row_in_the_manifest(line: Path, small: Small) -> None:
    cfg = load(small())
    layout = Layout(str(line))
    table = pd.read_parquet(layout.manifest("dataset"))
    videos = videos_of(cfg, "dataset")
    assert len(table) == len(videos) == 2 * (2 * 3 + 3)
    for video, row in zip(videos, table.itertuples()):
        path = Path(layout.video(video.name.clip, video.name.model, video.crf))
        assert (row.name, row.crf, row.sha256, row.bytes) == (
            str(video.name),
            video.crf,
            sha256(path),
            path.stat().st_size,
        )
        assert len(CropReader(Path(layout.crops_root) / row.crops)) == row.face_frames > 0
    assert set(table["split_scene"]) == {"train", "validation", "test"}
    assert (table.groupby(["video_id", "scene"])["split_scene"].nunique() == 1).all()
    assert table["split_identity"].isna().all()


def test_each_file_says_in_its_own_metadata_what_it_is(line: Path) -> None:
    videos = sorted((line / "dataset").rglob("*.mp4"))
    assert len(videos) == 18
    for path in videos:
        with av.open(str(path)) as container:
            tags, sidecar = container.metadata, read_json(path.with_suffix(".json"))
        told = json.loads(tags["comment"])
        assert told["synthetic"] == (path.parent.name != "real") == (tags["dfdm_synthetic"] == "true")
        assert {key: sidecar[key] for key in told} == told
        for key in ("model", "video_id", "version", "config_hash", "crf", "name"):
            assert tags[f"dfdm_{key}"] == str(told[key])
        assert told["face_id"] == (None if path.parent.name == "real" else "id1")


def test_outside_the_mask_the_master_is_the_original_bit_for_bit(line: Path, clips: Path) -> None:
    track = FaceTrack.load(line / "faces/id0_0000.npz")
    original = list(read_planes(clips / "WolfgangLanger_Pexels.mp4", track.record))
    for model in ("faceswap", "dfaker"):
        video = line / f"dataset/DFDM_crf0/{model}/id0_id1_0000_{model}.mp4"
        rendered = read_planes(video, of_encoded(track.record))
        for index, (before, after) in enumerate(zip(original, rendered, strict=True)):
            outline = extended_polygon(track.smoothed(1.0).landmarks[index])
            size = np.ptp(outline, axis=0).max()
            x0, y0 = np.floor(outline.min(0) - 0.15 * size).astype(int) // 2 * 2
            x1, y1 = np.ceil(outline.max(0) + 0.15 * size).astype(int) // 2 * 2 + 2
            for plane, (old, new) in enumerate(zip(split_planes(before), split_planes(after), strict=True)):
                half = 1 if plane == 0 else 2
                changed = old != new
                assert changed.any()
                inside = np.zeros_like(changed)
                inside[max(y0, 0) // half : y1 // half, max(x0, 0) // half : x1 // half] = True
                assert not (changed & ~inside).any()


def test_originals_are_untouched_at_crf_0(line: Path, clips: Path) -> None:
    track = FaceTrack.load(line / "faces/id0_0001.npz")
    planes = read_planes(line / "dataset/DFDM_crf0/real/id0_0001_real.mp4", of_encoded(track.record))
    for before, after in zip(read_planes(clips / "WolfgangLanger_Pexels.mp4", track.record), planes, strict=True):
        assert np.array_equal(before, after)


def test_qualities_are_smaller_in_order_of_crf(line: Path) -> None:
    for master in (line / "dataset/DFDM_crf0").rglob("*.mp4"):
        lower = Path(str(master).replace("crf0", "crf23"))
        assert master.stat().st_size > lower.stat().st_size > 0


def test_scores_name_their_interval_and_the_report_exists(line: Path) -> None:
    for crf in (0, 23):
        scores = Scores.read(line / f"attribution/dma_sta/scene/crf{crf}/seed0/test_crf{crf}/scores.json")
        assert scores.classes == ["faceswap", "dfaker"]
        assert np.array(scores.confusion).sum() == 2
        accuracy = scores.figures.accuracy
        assert accuracy.low <= accuracy.value <= accuracy.high
    assert "SYNTHETIC" in (line / "report.html").read_text()


def test_each_training_is_measured_on_frames_it_never_saw(line: Path, project: Path, small: Small) -> None:
    for model in ("faceswap", "dfaker"):
        found = Evaluation.read(line / f"evaluate/id0_id1/{model}.json")
        assert (found.reconstruction["id0"].frames, found.reconstruction["id1"].frames) == (9, 4)
        (swap,) = found.swaps  # one direction is rendered
        assert (swap.video_id, swap.face_id, len(swap.clips), swap.frames) == ("id0", "id1", 3, 9)
        assert swap.identity.to_video > 0
        assert swap.flicker > 0
        assert set(found.computed_on["masters"]) == {f"{clip}_{model}.mp4" for clip in swap.clips}
    with chdir(project):
        table = ran("scores", "--evaluate", "--config", small())
    assert re.search(r"^dfaker +mean +9 ", table, re.MULTILINE)
    assert "faceswap" in table
    assert "undertrained" in table  # six iterations


def test_every_key_of_every_result_file_is_needed(line: Path, tmp_path: Path) -> None:
    run = line / "attribution/dma_sta/scene/crf23/seed0"
    files = {
        line / "sources/id0_0000.json": VideoRecord,
        line / "dataset/DFDM_crf0/real/id0_0000_real.json": Sidecar,
        line / "dataset/DFDM_crf0/faceswap/id0_id1_0000_faceswap.json": Sidecar,
        line / "dataset/DFDM_crf23/dfaker/id0_id1_0000_dfaker.json": Sidecar,
        line / "evaluate/id0_id1/dfaker.json": Evaluation,
        run / "training.json": Training,
        run / "speed.json": Speed,
        run / "test_crf23/scores.json": Scores,
    }
    for path, model in files.items():
        for_people = ("notes",) if model is VideoRecord else ()
        assert delete_each_key(model, path, tmp_path, for_people) > 2


def test_a_second_run_finds_nothing_to_do(project: Path, line: Path, small: Small) -> None:
    assert would_run(project, small()) == Counter()


def test_deleting_an_output_reruns_it_and_what_depends_on_it(project: Path, line: Path, small: Small) -> None:
    crops = line / "crops/crf23/dfaker/id0_id1_0001_dfaker.safetensors"
    aside = crops.rename(crops.with_suffix(".aside"))  # keeps its time of change
    try:
        assert would_run(project, small()) == Counter(
            crops=1, attribution_train=1, attribution_score=1, report=1, all=1
        )
        assert would_run(project, small(), "faceswap_crf23") == Counter()
        assert would_run(project, small(), "attribution_crf0") == Counter()
    finally:
        aside.rename(crops)


@pytest.mark.parametrize(
    ("changes", "rerun"),
    [
        ({"device": "auto"}, Counter()),
        ({"train__preview_every": 7, "train__keep": 5}, Counter()),
        ({"train__threads": 1, "encode__threads": 1}, Counter()),  # as before, now given
        (
            {"render__mask_blur": 5.0},
            Counter(
                render=6,
                masks=6,
                evaluate=2,
                encode=6,
                crops=12,
                manifest=3,
                attribution_train=2,
                attribution_score=2,
                report=1,
                all=1,
            ),
        ),
        ({"evaluate__frames": 2}, Counter(evaluate=2, report=1, all=1)),
        ({"attribution__lr": 0.002}, Counter(attribution_train=2, attribution_score=2, report=1, all=1)),
        ({"crops__margin": 0.5}, Counter(crops=18, attribution_train=2, attribution_score=2, report=1, all=1)),
    ],
)
def test_a_changed_key_reruns_what_it_determines(
    project: Path, line: Path, small: Small, changes: dict[str, object], rerun: Counter[str]
) -> None:
    assert would_run(project, small("changed", **changes)) == rerun


def test_a_comment_reruns_nothing(project: Path, line: Path, small: Small) -> None:
    path = small("commented")
    path.write_text("# another comment\n" + path.read_text())
    assert would_run(project, path) == Counter()


def test_a_new_quality_costs_nothing_upstream(project: Path, line: Path, small: Small) -> None:
    found = would_run(project, small("more", crf=[0, 23, 40]), "crf40")
    assert found == Counter(encode=9, crops=9, crf40=1)


def test_without_configfile_the_shipped_config_counts_and_with_one_that_file_alone(
    snakemake: Snakemake, small: Small
) -> None:
    shipped = jobs(snakemake("--cores", 1, "--dry-run", "--quiet", "rules", "--config", "results=elsewhere"))
    assert shipped["render"] == 30
    alone = jobs(
        snakemake("--cores", 1, "--dry-run", "--quiet", "rules", "--configfile", small(), "--config", "results=other")
    )
    assert (alone["render"], alone["sources_probe"]) == (6, 4)


def test_a_fault_in_the_config_is_one_sentence_before_any_job(snakemake: Snakemake, small: Small) -> None:
    done = snakemake("--cores", 1, "--configfile", small("faulty", render__mask_blurr=3))
    assert done.returncode != 0
    assert "render.mask_blurr: unknown key; did you mean 'mask_blur'?" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--configfile", "none.yaml"], "config 'none.yaml' does not exist; correct the path after --configfile"),
        (
            ["--config", "results=config.yaml/x"],
            "results 'config.yaml/x': Not a directory; free some space or name another place",
        ),
        (["iae_crf24"], "'iae_crf24' is not a target of this config. Did you mean iae_crf23 or "),
        (["render"], "This rule makes many jobs and is not a target. Named targets are "),
    ],
)
def test_a_slip_on_the_command_line_is_one_sentence(snakemake: Snakemake, arguments: list[str], sentence: str) -> None:
    done = snakemake(*arguments, "--cores", 2)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "  File " not in done.stderr


def test_a_source_that_is_gone_is_named(snakemake: Snakemake, small: Small, project: Path) -> None:
    path = small("gone", results="results-gone")
    values = yaml.safe_load(path.read_text())
    values["sources"]["root"] = str(project)
    values["sources"]["people"]["id0"]["scenes"]["0002"] = {"path": "gone.mp4"}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    done = snakemake("all_faces", "--cores", 2, "--configfile", path)
    assert done.returncode == 1
    assert (
        f"{project}/gone.mp4 does not exist; put the video back, or correct the scene's path or sources.root"
        in done.stderr
    )


def test_both_reports_are_made_without_a_network(line: Path, project: Path, small: Small) -> None:
    """Every connection is refused: Snakemake's report holds scores, previews, manifests and the page; ours itself."""
    refuse = "import socket; socket.socket.connect = socket.getaddrinfo = lambda *a, **k: 1 / 0; import runpy, sys; "
    run = "sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    config = str(small())
    for command in (
        ["snakemake", "--report", "report.zip", "--cores", "1", "--configfile", config],
        ["dfdm", "report", "--out", "again.html", "--config", config],
    ):
        module = "dfdm.commands.cli" if command[0] == "dfdm" else command[0]
        code = refuse + (
            run if module == "snakemake" else "sys.argv = sys.argv[1:]; from dfdm.commands.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, module, *command[1:]], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    with zipfile.ZipFile(project / "report.zip") as archive:
        names = [Path(name).name for name in archive.namelist()]
        page = archive.read("report/report.html").decode()
    assert Counter(names) >= Counter({"scores.json": 2, "preview.png": 2, "dataset.csv": 1, "report.html": 2})
    assert "SYNTHETIC" in page
    assert "chance" in page
    assert "SYNTHETIC" in (project / "again.html").read_text()


def test_a_run_ends_with_its_summary_by_stage(line: Path, snakemake: Snakemake, small: Small) -> None:
    done = snakemake("report", "--cores", 1, "--forcerun", "report", "--configfile", small())
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^summary: 1 of 1 jobs done, .* \| report 1/1$", done.stderr, re.MULTILINE)


@pytest.mark.parametrize("profile", ["default", "slurm", "kubernetes"])
def test_every_shipped_profile_chooses_the_summary(profile: str) -> None:
    settings = yaml.safe_load((ROOT / "workflow/profiles" / profile / "config.yaml").read_text())
    assert settings["logger"] == "dfdm"


def test_the_page_counts_the_bytes_of_every_output(line: Path) -> None:
    written = bytes_written(Layout(str(line)))
    files = [path for path, _ in every(line)]
    assert sum(written.values()) == sum(path.stat().st_size for path in files)
    assert set(written) == {path.name for path in (line / "benchmarks").iterdir()}


@pytest.mark.slow
@pytest.mark.usefixtures("tidy")
def test_the_number_of_cores_changes_no_bytes(line: Path, snakemake: Snakemake, small: Small, project: Path) -> None:
    done = snakemake("faceswap_crf23", "--cores", 1, "--configfile", small("single", results="results-single"))
    assert done.returncode == 0, done.stderr[-4000:]
    made = sorted((project / "results-single").rglob("*.mp4")) + sorted(
        (project / "results-single").rglob("*.safetensors")
    )
    assert len(made) == 6 + 3 + 1
    for path in made:
        assert sha256(path) == sha256(line / path.relative_to(project / "results-single")), path.name


def test_the_full_size_plan_can_be_dry_run_with_placeholders(project: Path) -> None:
    text = (ROOT / "workflow/configs/dfdm.yaml").read_text()
    config = project / "full.yaml"
    config.write_text(text.replace("root: Celeb-DF-v2", f"root: {project / 'celeb'}"))
    ran("sources", "placeholders", "--config", config)
    found = would_run(project, config, "iae_crf23")
    assert (found["render"], found["encode"], found["crops"], found["train_iae"]) == (430, 430, 430, 43)


def test_scenes_of_a_table_are_planned_like_those_of_the_config(small: Small, project: Path, tmp_path: Path) -> None:
    listed = load(small("listed", results="listed"))
    sources = listed.sources.model_dump()
    rows = ["person\tscene\tpackage\tmember\tframes\tlicence\tconsent"]
    for person, entry in sources.pop("people").items():
        for number, scene in entry["scenes"].items():
            frames = str(list(scene["frames"]))
            cells = (person, number, scene["package"], scene["member"], frames, entry["licence"], entry["consent"])
            rows.append("\t".join(cells))
    table = tmp_path / "scenes.tsv"
    table.write_text("\n".join(rows) + "\n")
    tabled = small("tabled", results="listed", sources={**sources, "table": str(table)})
    assert load(tabled).model_dump() == listed.model_dump()
    planned = would_run(project, tabled)
    assert planned == would_run(project, project / "listed.yaml")
    table.write_text("\n".join([*rows, rows[1].replace("0000", "0003")]) + "\n")
    assert would_run(project, tabled)["render"] == planned["render"] + 2  # a further scene, with two models


def test_a_new_classifier_costs_nothing_upstream(project: Path, line: Path, small: Small) -> None:
    values = {"depth": 34, "resize": 40, "size": 32, "clip": 4, "test_clips": 2, "batch": 4, "epochs": 2}
    found = would_run(project, small("another", attribution=values), "attribution")
    assert found == Counter(attribution_train=2, attribution_score=2, attribution=1)


def test_a_finished_training_survives_harmless_edits(line: Path, project: Path, small: Small) -> None:
    """A rule's text, thread and memory figures of other stages, where states are: no training runs for them."""
    rules = project / "workflow/rules/train.smk"
    text = rules.read_text()
    rules.write_text(text.replace('"dfdm train --model', '"dfdm  train --model').replace("24 * 60", "48 * 60"))
    try:
        assert rules.read_text() != text
        assert would_run(project, small()) == Counter()
    finally:
        rules.write_text(text)
    edited = {"train__save_every": 1, "train__keep": 9, "state_dir": "elsewhere", "encode__preset": "fast"}
    found = would_run(project, small("edited", **edited))
    assert found["render"] == 6
    assert not any(rule.startswith(("train", "faces", "sources")) for rule in found)


@pytest.mark.slow
@pytest.mark.usefixtures("tidy")
def test_classifiers_are_compared_and_their_scores_controlled(
    line: Path, project: Path, snakemake: Snakemake, small: Small, tmp_path: Path
) -> None:
    """Rates, seeds, matrix, background, permuted labels: everything after the dataset, at the smallest size."""
    comparison = {
        "crf": 23,
        "seeds": [0, 1],
        "rates": [0.01, 0.001],
        "tune_epochs": 1,
        "classifiers": {
            "meso_inception4": None,
            "residual_dct": None,
            "hidden": {"model": "dma_sta", "region": "background"},
        },
        "matrix": ["residual_dct"],
    }
    controls = {"classifiers": ["residual_dct", "meso_inception4"], "background": "hidden"}
    results = copy_run(line, project / "results-compared")  # the line stays as it is
    config = small("compared", results="results-compared", comparison=comparison, controls=controls)
    done = snakemake("--cores", 2, "--configfile", config)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    delete_each_key(Comparison, results / "attribution/comparison.json", tmp_path)
    delete_each_key(Tune, results / "attribution/residual_dct/tune.json", tmp_path)
    found = Comparison.read(results / "attribution/comparison.json")
    assert found.missing == []
    assert {entry.classifier for entry in found.table} == {"meso_inception4", "residual_dct"}
    assert {(cell.train, cell.test) for cell in found.matrix} == {
        (train, test) for train in ("0", "23", "all") for test in (0, 23)
    }
    assert not any(pair.beats for pair in found.beats)  # two seeds show nothing
    for crf in (0, 23):
        for classifier in controls["classifiers"]:
            path = results / f"controls/{classifier}/crf{crf}.json"
            delete_each_key(Controls, path, tmp_path)
            control = Controls.read(path)
            assert len(control.permuted.accuracies) == 20
            assert control.background.expected == ("codec coupling" if crf else "chance")
            scores = Scores.read(results / f"attribution/{classifier}/scene/crf{crf}/seed0/test_crf{crf}/scores.json")
            assert control.accuracy == scores.figures.accuracy
    report = (results / "report.html").read_text()
    assert "Not learned" in report  # two epochs of two videos
    assert would_run(project, config) == Counter()
