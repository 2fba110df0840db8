import json
import os
import signal
from dataclasses import replace

import pandas as pd
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from attribution import experiment as run
from attribution import fitting as train
from attribution import inference, models
from attribution.clips import Clips, find_videos
from attribution.models import blocks
from attribution.results import Scores, Speed, Training, Tune
from attribution.run import Run
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.base.tensorfile import content_hash
from dfdm.base.trainer import ROLLBACKS, check_finite
from tests.result_files import delete_each_key

pytestmark = pytest.mark.long

FILES = ("model.safetensors", "log.csv", "training.json", "speed.json")
RUN = Run("dma_sta", "scene", "23", 3)


def places(crops, folder, *manifests):
    return run.Places(manifests or [crops / "manifest.parquet"], crops, crops / "regions", folder / "state")


def start(crops, folder, classes, settings, *manifests, one=RUN, out="out"):
    """Train a run; its files go into `folder`/out, its states into `folder`/state."""
    return run.train(one, settings, classes, places(crops, folder, *manifests), "cpu", "k", folder / out)


def score(crops, folder, manifest=None, crf=23):
    where = places(crops, folder, manifest or crops / "manifest.parquet")
    return run.score_run(folder / "out" / "model.safetensors", where, crf, "cpu", folder / "test")


@pytest.fixture(scope="module")
def settings(settings):
    """Of the smallest network: the training is the same for all."""
    return settings.model_copy(update={"model": "meso_inception4"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory, crops):
    """A training without interruption and its scores: its folder, settings, training.json and scores.json."""
    folder = tmp_path_factory.mktemp("whole")
    sizes = {"depth": 18, "resize": 36, "size": 32, "clip": 2, "test_clips": 2, "batch": 4, "epochs": 3}
    settings = AttributionConfig(model="meso_inception4", **sizes, threads=1, real=False)
    about = start(crops, folder, ["faceswap", "lightweight", "iae"], settings)
    return folder, settings, about, score(crops, folder)


def test_a_training_writes_its_files_and_chooses_the_epoch_by_validation(whole):
    folder, settings, about, _ = whole
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(FILES)
    assert Training.read(folder / "out" / "training.json") == about
    assert (about.run, about.as_run(), about.videos.plain()) == (str(RUN), RUN, {"train": 6, "validation": 6})
    assert (about.steps, about.lr) == (6, settings.lr)
    log = pd.read_csv(folder / "out" / "log.csv")
    assert tuple(log.columns) == train.COLUMNS
    assert log["epoch"].tolist() == [1, 2, 3]
    best = log.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).iloc[0]
    assert about.epoch == best["epoch"]
    assert about.training_accuracy == pytest.approx(log["train_accuracy"].iloc[-1], abs=1e-5)
    counted = blocks.cost(models.build(settings.model, 3, 18, 2), 2, 32)
    assert (about.parameters, about.multiply_adds) == (counted.parameters, counted.multiply_adds)
    assert Speed.read(folder / "out" / "speed.json").clips_per_second > 0


def test_every_key_of_a_training_and_its_scores_is_needed(whole, tmp_path):
    folder = whole[0]
    assert delete_each_key(Training, folder / "out" / "training.json", tmp_path) == 31
    assert delete_each_key(Speed, folder / "out" / "speed.json", tmp_path) == 3
    assert delete_each_key(Scores, folder / "test" / "scores.json", tmp_path) > 100


def test_every_test_video_is_scored_with_its_probabilities(whole):
    folder, _, about, scores = whole
    assert Scores.read(folder / "test" / "scores.json") == scores
    assert (scores.videos, scores.crf, scores.run.classifier) == (6, 23, "dma_sta")
    assert scores.training == about
    predictions = pd.read_parquet(folder / "test" / "predictions.parquet")
    columns = ["p_faceswap", "p_lightweight", "p_iae"]
    assert list(predictions.columns) == ["name", "truth", "predicted", *columns, "energy", "verdict"]
    assert predictions[columns].sum(axis=1).to_numpy() == pytest.approx(1)
    accuracy = scores.figures.accuracy
    assert (predictions["truth"] == predictions["predicted"]).mean() == pytest.approx(accuracy.value)
    assert "Wilson" in accuracy.method


def test_a_training_interrupted_within_an_epoch_goes_on_to_the_same_bytes(whole, crops, tmp_path, classes, monkeypatch):
    folder, settings, _, _ = whole
    update = train.Trainer.update

    def stopping(self, *batch):
        update(self, *batch)
        if self.step == 3:  # the first batch of the second epoch
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train.Trainer, "update", stopping)
    with pytest.raises(SystemExit) as stopped:
        start(crops, tmp_path, classes, settings)
    assert stopped.value.code == 143
    assert not (tmp_path / "out").exists()
    steps = []
    monkeypatch.setattr(train.Trainer, "update", lambda self, *batch: (update(self, *batch), steps.append(self.step)))
    start(crops, tmp_path, classes, settings)
    assert steps == [4, 5, 6]
    for name in ("model.safetensors", "log.csv", "training.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / "out" / name).read_bytes(), name


def test_a_solved_model_goes_on_from_the_clips_that_it_had_seen(crops, tmp_path, classes, settings, monkeypatch):
    settings = settings.model_copy(update={"model": "linear_dct", "augment": True, "epochs": 3, "real": False})
    start(crops, tmp_path / "whole", classes, settings)
    update = train.Trainer.update

    def stopping(self, *batch):
        update(self, *batch)
        if self.step == 3:  # the first batch of the second epoch
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train.Trainer, "update", stopping)
    with pytest.raises(SystemExit):
        start(crops, tmp_path / "stopped", classes, settings)
    monkeypatch.setattr(train.Trainer, "update", update)
    start(crops, tmp_path / "stopped", classes, settings)
    for name in ("model.safetensors", "log.csv", "training.json"):
        whole, stopped = ((tmp_path / folder / "out" / name).read_bytes() for folder in ("whole", "stopped"))
        assert whole == stopped, name


def test_a_finished_training_is_not_trained_again_and_another_one_starts_afresh(whole, crops, classes, monkeypatch):
    folder, settings, about, _ = whole
    started = []
    monkeypatch.setattr(train.Trainer, "update", lambda self, *batch: started.append(1) or 1 / 0)
    before = [(folder / "out" / name).read_bytes() for name in FILES]
    assert start(crops, folder, classes, settings) == about
    assert [(folder / "out" / name).read_bytes() for name in FILES] == before  # its speed is of when it was trained
    assert start(crops, folder, classes, settings.model_copy(update={"save_every": 2})) == about
    assert started == []
    with pytest.raises(ZeroDivisionError):
        start(crops, folder, classes, settings, one=replace(RUN, seed=4))
    assert started == [1]


def test_the_model_file_says_what_it_is_and_classifies_as_it_did(whole, crops, classes):
    folder, settings, about, _ = whole
    with safetensors.safe_open(folder / "out" / "model.safetensors", "np") as file:
        assert list(file.metadata()) == ["dfdm"]
    trained = inference.load(folder / "out" / "model.safetensors", torch.device("cpu"))
    assert (trained.classes, trained.settings) == (classes, settings)
    content = about.plain()
    assert {name: trained.about[name] for name in content} == content
    rows = pd.read_parquet(crops / "manifest.parquet")
    videos = find_videos(rows[rows["split_scene"] == "test"], crops, classes, 2)[0]
    again = run.test(trained, videos, "cpu", 3, None)[1]
    pd.testing.assert_frame_equal(again, pd.read_parquet(folder / "test" / "predictions.parquet"), check_exact=False)


def test_a_missing_or_foreign_model_file_is_one_sentence_that_names_it(whole, tmp_path, classes):
    path = tmp_path / "foreign.safetensors"
    with pytest.raises(DfdmError, match=r"foreign\.safetensors does not exist"):
        inference.load(path, torch.device("cpu"))
    path.write_bytes(b"12345678")
    settings = whole[1].model_dump()
    tensors = load_file(whole[0] / "out" / "model.safetensors")

    def hashed(content, **about):
        values = {name: value.numpy() for name, value in content.items()}
        return content, {"dfdm": json.dumps({**about, "sha256": content_hash(values, about)})}

    foreign = [
        (tensors, None),
        (tensors, {"dfdm": "no JSON"}),
        (tensors, {"dfdm": "[]"}),
        (tensors, {"dfdm": json.dumps({"settings": settings, "classes": classes})}),  # without its hash
        hashed(tensors, settings=settings),
        hashed(tensors, settings={"wings": 2}, classes=classes),
        hashed(tensors, settings=settings, classes=classes[:2]),  # a head of another size
        hashed(tensors, settings={**settings, "model": "none"}, classes=classes),
        hashed({"weight": torch.zeros(2)}, settings=settings, classes=classes),
    ]
    for case in [None, *foreign]:
        if case is not None:
            save_file(case[0], str(path), metadata=case[1])
        with pytest.raises(DfdmError, match=r"foreign\.safetensors is not a classifier of this pipeline") as told:
            inference.load(path, torch.device("cpu"))
        assert "\n" not in str(told.value)


def job(crops, classes, settings, part="train", seed=0):
    rows = pd.read_parquet(crops / "manifest.parquet")
    videos = find_videos(rows[rows["split_scene"] == part], crops, classes, 2)[0]
    return train.Job("a training", Clips(videos, settings), Clips(videos, settings), classes, seed, settings)


@pytest.mark.parametrize("chosen", [{}, {"optimizer": "adamw", "schedule": "cosine", "lr": 1e-3}])
def test_one_batch_of_clips_is_learned_by_heart(crops, classes, settings, chosen):
    given = settings.model_copy(update={"model": "dma_sta", "batch": 6, "epochs": 12, **chosen})
    trainer = train.Trainer(job(crops, classes, given), torch.device("cpu"))
    clips = trainer.job.training
    frames, labels, _ = next(clips.batches(clips.training(0, 1)))
    for _ in range(12):
        trainer.sums = [0.0, 0.0, 0.0]
        trainer.update(frames, labels)
    assert trainer.sums[1] == 6
    assert trainer.sums[0] / 6 < 0.1


def test_the_rate_is_the_effective_one_and_falls_at_milestones(crops, classes, settings):
    clips = {"batch": 6}  # one step an epoch
    published = AttributionConfig().model_dump(include={"lr", "milestones", "gamma"})
    trainer = train.Trainer(
        job(crops, classes, settings.model_copy(update={**clips, **published})), torch.device("cpu")
    )
    assert [trainer.rate(step) for step in (0, 38, 39, 298)] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])
    twice = {"milestones": [3, 5], "gamma": 0.5, "lr": 1.0}
    trainer = train.Trainer(job(crops, classes, settings.model_copy(update={**clips, **twice})), torch.device("cpu"))
    assert [trainer.rate(step) for step in range(6)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    trainer.rollbacks = [2]
    assert [trainer.rate(step) for step in range(4)] == [1, 1, 0.25, 0.25]


def test_a_cosine_goes_from_the_rate_to_nothing_over_all_steps(crops, classes, settings):
    given = settings.model_copy(update={"schedule": "cosine", "lr": 2.0, "epochs": 5})  # 2 steps an epoch
    trainer = train.Trainer(job(crops, classes, given), torch.device("cpu"))
    rates = [trainer.rate(step) for step in range(trainer.steps + 1)]
    assert (trainer.steps, rates[0], rates[5], rates[10]) == (10, 2.0, pytest.approx(1.0), pytest.approx(0.0))
    assert rates == sorted(rates, reverse=True)


def test_smoothing_and_mixup_change_the_loss_as_they_say_and_depend_on_the_step_alone(crops, classes, settings):
    def loss(**chosen):
        trainer = train.Trainer(job(crops, classes, settings.model_copy(update=chosen)), torch.device("cpu"))
        clips = trainer.job.training
        frames, labels, _ = next(clips.batches(clips.training(0, 1)))
        trainer.update(frames, labels)
        return trainer.sums[0] / len(labels)

    assert loss() == loss(label_smoothing=0.0, mixup=0.0)
    assert loss(mixup=1.0) == loss(mixup=1.0)
    assert loss(mixup=1.0) != loss()
    assert loss(label_smoothing=0.5) != loss()


def test_a_loss_that_is_no_number_stops_the_training_or_rolls_it_back(crops, tmp_path, classes, settings, capsys):
    wild = settings.model_copy(update={"lr": 1e30, "epochs": 50})
    with pytest.raises(DfdmError, match="no longer a number"):
        start(crops, tmp_path, classes, wild)
    with pytest.raises(DfdmError, match="here"):
        check_finite([float("nan")], "here")
    with pytest.raises(DfdmError, match=f"after {ROLLBACKS} rollbacks at a rate of"):
        start(crops, tmp_path / "back", classes, wild.model_copy(update={"on_nan": "rollback"}))
    assert capsys.readouterr().err.count("rolled back to step 0") == ROLLBACKS


def test_a_training_on_every_quality_takes_as_many_steps_as_on_one(crops, tmp_path, classes, settings):
    other = pd.read_parquet(crops / "manifest.parquet").assign(crf=10)
    other["sha256"] += " at 10"
    other.to_parquet(tmp_path / "crf10.parquet")
    manifests = [crops / "manifest.parquet", tmp_path / "crf10.parquet"]
    together = start(crops, tmp_path, classes, settings, *manifests, one=replace(RUN, crf="all"))
    assert together.videos.plain() == {"train": 12, "validation": 12}
    assert together.steps == 4  # 2 epochs of 6 clips in batches of 4: a clip of every video, at one of its qualities
    with pytest.raises(DfdmError, match="not of 23"):
        start(crops, tmp_path, classes, settings, manifests[1])
    with pytest.raises(DfdmError, match="the same quality"):
        start(crops, tmp_path, classes, settings, manifests[1], manifests[1], one=replace(RUN, crf="all"))
    other.assign(split_scene=other["split_scene"].replace({"test": "train", "train": "test"})).to_parquet(manifests[1])
    with pytest.raises(DfdmError, match="the scene split leaks: scene"):
        start(crops, tmp_path, classes, settings, *manifests, one=replace(RUN, crf="all"))


def test_the_rate_that_validation_likes_best_is_chosen_and_one_that_diverges_is_named(
    crops, tmp_path, classes, settings
):
    found = run.tune(
        [1e30, 0.01, 1e-6],
        2,
        RUN,
        settings,
        classes,
        places(crops, tmp_path),
        "cpu",
        "k",
        tmp_path / "r.json",
    )
    assert Tune.read(tmp_path / "r.json") == found
    assert [entry.lr for entry in found.tried] == [1e-6, 0.01, 1e30]
    assert found.tried[2].plain() == {"lr": 1e30, "diverged": True}
    best = max(found.tried[:2], key=lambda entry: (entry.validation_accuracy, -entry.validation_loss))
    assert found.lr == best.lr
    assert delete_each_key(Tune, tmp_path / "r.json", tmp_path) == 8
    given = found.plain()
    del given["tried"][0]["validation_loss"]  # needed where the training did not diverge
    with pytest.raises(DfdmError, match=r"r: tried\.0\.validation_accuracy or validation_loss is missing"):
        Tune.of(given, "r")


def test_short_videos_are_named_and_counted(crops, tmp_path, classes, settings, capsys):
    rows = pd.read_parquet(crops / "manifest.parquet")
    lost = rows[rows["split_scene"] == "test"]["name"].tolist()[:2]
    rows.loc[rows["name"].isin(lost), "crops"] = None
    rows.to_parquet(tmp_path / "manifest.parquet")
    start(crops, tmp_path, classes, settings.model_copy(update={"epochs": 1}), tmp_path / "manifest.parquet")
    scores = score(crops, tmp_path, tmp_path / "manifest.parquet")
    named = {f"{name} (crf 23)": 0 for name in lost}
    assert scores.left_out.plain() == {"train": {}, "validation": {}, "test": named}
    assert scores.videos == 4
    assert (
        f"2 test videos have fewer face frames than the clip (2) and are left out: {lost[0]}" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="sha256"), "has no column sha256"),
        (lambda rows: rows.drop(columns="split_scene"), "has no column split_scene"),
        (lambda rows: rows.assign(crf=[10, *rows["crf"][1:]]), "videos of several qualities"),
        (lambda rows: rows.assign(crf=10), "videos of crf 10, not of 23"),
        (lambda rows: rows[rows["split_scene"] != "validation"], "the validation part has no video"),
        (lambda rows: rows[~rows["name"].str.match(".*_0000_iae")], "no training video shows the model iae"),
        (
            lambda rows: rows.assign(split_scene=["test", *rows["split_scene"][1:]]),
            "scene id0_0000 is in two parts",
        ),
        (lambda rows: pd.concat([rows, rows[:1]]), "more than once"),
    ],
)
def test_a_manifest_that_cannot_give_a_fair_score_is_an_error(crops, tmp_path, classes, settings, change, message):
    change(pd.read_parquet(crops / "manifest.parquet")).to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(DfdmError, match=message):
        start(crops, tmp_path, classes, settings, tmp_path / "manifest.parquet")


def test_a_planted_leak_fails_the_job_before_a_step_is_taken(crops, tmp_path, classes, settings, monkeypatch):
    rows = pd.read_parquet(crops / "manifest.parquet")
    moved = (rows["name"].str.contains("_0002_")) & (rows["model"] == "iae")
    rows.assign(split_scene=rows["split_scene"].mask(moved, "train")).to_parquet(tmp_path / "manifest.parquet")
    monkeypatch.setattr(train.Trainer, "update", lambda *given: pytest.fail("a step was taken"))
    with pytest.raises(DfdmError, match="the scene split leaks: scene id0_0002, id1_0002 is in two parts"):
        start(crops, tmp_path, classes, settings, tmp_path / "manifest.parquet")


def test_originals_are_a_class_only_where_asked_and_other_models_are_left_out(crops, tmp_path, classes, settings):
    rows = pd.read_parquet(crops / "manifest.parquet")
    original = rows[:1].assign(name="id0_0000_real", model="real")
    pd.concat([rows, original]).to_parquet(tmp_path / "manifest.parquet")
    assert run.classes_of(classes, settings) == classes
    assert len(run.read_manifest(tmp_path / "manifest.parquet", classes, "scene")) == len(rows)
    real = run.classes_of(classes, settings.model_copy(update={"real": True}))
    assert real == [*classes, "real"]
    assert len(run.read_manifest(tmp_path / "manifest.parquet", real, "scene")) == len(rows) + 1
    with pytest.raises(DfdmError, match="does not exist"):
        run.read_manifest(tmp_path / "none.parquet", classes, "scene")
