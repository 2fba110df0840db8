import json
import os
import signal

import pandas as pd
import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from attribution import predict, run, train
from attribution.clips import Clips, find_videos
from dfdm.config import AttributionConfig
from dfdm.errors import DfdmError
from dfdm.training import check_finite


def start(crops, folder, classes, settings, manifest=None, **values):
    values = {"seed": 3, "device": "cpu", "key": "k", "crf": 23} | values
    manifest = manifest or crops / "manifest.parquet"
    places = {"state_dir": folder / "state", "out": folder / "out"}
    return run.run(manifest, crops, classes, settings, **values, **places)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, crops):
    """A run without interruption: its folder, settings and scores."""
    folder = tmp_path_factory.mktemp("whole")
    settings = AttributionConfig(depth=18, resize=36, size=32, clip=2, test_clips=2, batch=4, epochs=3, threads=1)
    return folder, settings, start(crops, folder, ["faceswap", "lightweight", "iae"], settings)


def test_a_run_writes_its_four_files_and_scores_every_test_video(whole):
    folder, _, scores = whole
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(run.FILES)
    assert json.loads((folder / "out" / "scores.json").read_text()) == scores
    assert (scores["videos"], scores["training_videos"], scores["validation_videos"]) == (6, 6, 6)
    assert "Wilson" in scores["accuracy_interval"]["method"]
    predictions = pd.read_parquet(folder / "out" / "predictions.parquet")
    columns = ["name", "truth", "predicted", "p_faceswap", "p_lightweight", "p_iae"]
    assert list(predictions.columns) == columns
    assert predictions[columns[3:]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert (predictions["truth"] == predictions["predicted"]).mean() == scores["accuracy"]
    log = pd.read_csv(folder / "out" / "log.csv")
    assert tuple(log.columns) == train.COLUMNS
    assert log["epoch"].tolist() == [1, 2, 3]
    best = log.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).iloc[0]
    assert scores["chosen_epoch"] == best["epoch"]


def test_a_training_interrupted_within_an_epoch_goes_on_to_the_same_bytes(whole, crops, tmp_path, classes, monkeypatch):
    folder, settings, _ = whole
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
    for name in run.FILES:
        assert (tmp_path / "out" / name).read_bytes() == (folder / "out" / name).read_bytes(), name


def test_a_finished_training_is_not_trained_again_and_another_one_starts_afresh(whole, crops, classes, monkeypatch):
    folder, settings, scores = whole
    started = []
    monkeypatch.setattr(train.Trainer, "update", lambda self, *batch: started.append(1) or 1 / 0)
    before = (folder / "out" / "model.safetensors").read_bytes()
    assert start(crops, folder, classes, settings) == scores
    assert (folder / "out" / "model.safetensors").read_bytes() == before
    assert start(crops, folder, classes, settings.model_copy(update={"save_every": 2})) == scores
    assert started == []
    with pytest.raises(ZeroDivisionError):
        start(crops, folder, classes, settings, seed=4)
    assert started == [1]


def test_the_model_file_says_what_it_is_and_classifies_as_it_did(whole, crops, classes):
    folder, settings, _ = whole
    with safetensors.safe_open(folder / "out" / "model.safetensors", "np") as file:
        assert list(file.metadata()) == ["dfdm"]
    trained = predict.load(folder / "out" / "model.safetensors", torch.device("cpu"))
    assert (trained.classes, trained.settings, trained.about["crf"]) == (classes, settings, 23)
    rows = pd.read_parquet(crops / "manifest.parquet")
    videos = find_videos(rows[rows["split_scene"] == "test"], crops, classes, 2)[0]
    again = run.test(trained, videos, "cpu", 3)[1]
    pd.testing.assert_frame_equal(again, pd.read_parquet(folder / "out" / "predictions.parquet"), check_exact=False)


def test_a_missing_or_foreign_model_file_is_one_sentence_that_names_it(whole, tmp_path, classes):
    path = tmp_path / "foreign.safetensors"
    with pytest.raises(DfdmError, match=r"foreign\.safetensors does not exist"):
        predict.load(path, torch.device("cpu"))
    path.write_bytes(b"12345678")
    settings = whole[1].model_dump()
    tensors = load_file(whole[0] / "out" / "model.safetensors")
    foreign = [
        (tensors, None),
        (tensors, {"dfdm": "no JSON"}),
        (tensors, {"dfdm": "[]"}),
        (tensors, {"dfdm": json.dumps({"settings": settings})}),
        (tensors, {"dfdm": json.dumps({"settings": {"wings": 2}, "classes": classes})}),
        (tensors, {"dfdm": json.dumps({"settings": settings, "classes": classes[:2]})}),  # a head of another size
        (tensors, {"dfdm": json.dumps({"settings": {**settings, "model": "none"}, "classes": classes})}),
        ({"weight": torch.zeros(2)}, {"dfdm": json.dumps({"settings": settings, "classes": classes})}),
    ]
    for case in [None, *foreign]:
        if case is not None:
            save_file(case[0], str(path), metadata=case[1])
        with pytest.raises(DfdmError, match=r"foreign\.safetensors is no classifier of this pipeline") as told:
            predict.load(path, torch.device("cpu"))
        assert "\n" not in str(told.value)


def test_one_batch_of_clips_is_learned_by_heart(crops, classes, settings):
    rows = pd.read_parquet(crops / "manifest.parquet")
    videos = find_videos(rows[rows["split_scene"] == "train"], crops, classes, 2)[0]
    clips = Clips(videos, settings.model_copy(update={"batch": 6}))
    torch.manual_seed(0)
    torch.set_num_threads(1)
    trainer = train.Trainer(clips, clips, 3, 0, torch.device("cpu"))
    frames, labels, _ = next(clips.batches(clips.training(0, 1)))
    for _ in range(12):
        trainer.sums = [0.0, 0.0, 0.0]
        trainer.update(frames, labels)
    assert trainer.sums[1] == 6
    assert trainer.sums[0] / 6 < 0.1


def test_the_rate_is_the_effective_one_and_falls_at_milestones(settings):
    published = AttributionConfig()
    rates = [train.rate(published, epoch) for epoch in (1, 39, 40, 299)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])
    twice = settings.model_copy(update={"milestones": [3, 5], "gamma": 0.5, "lr": 1.0})
    assert [train.rate(twice, epoch) for epoch in range(1, 7)] == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_a_loss_that_is_no_number_stops_the_training(crops, tmp_path, classes, settings):
    with pytest.raises(DfdmError, match="no longer a number"):
        start(crops, tmp_path, classes, settings.model_copy(update={"lr": 1e30, "epochs": 50}))
    with pytest.raises(DfdmError, match="here"):
        check_finite([float("nan")], "here")


def test_short_videos_are_named_and_counted(crops, tmp_path, classes, settings, capsys):
    rows = pd.read_parquet(crops / "manifest.parquet")
    lost = rows[rows["split_scene"] == "test"]["name"].tolist()[:2]
    rows.loc[rows["name"].isin(lost), "crops"] = None
    rows.to_parquet(tmp_path / "manifest.parquet")
    once = settings.model_copy(update={"epochs": 1})
    scores = start(crops, tmp_path, classes, once, tmp_path / "manifest.parquet")
    assert scores["left_out"] == {"train": {}, "validation": {}, "test": dict.fromkeys(lost, 0)}
    assert (scores["left_out_videos"], scores["videos"]) == (2, 4)
    assert (
        f"2 test videos have fewer face frames than the clip (2) and are left out: {lost[0]}" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="sha256"), "lacks the column sha256"),
        (lambda rows: rows.drop(columns="split_scene"), "lacks the column split_scene"),
        (lambda rows: rows.assign(crf=10), "other qualities than crf 23"),
        (lambda rows: rows[rows["split_scene"] != "test"], "the test part has no video"),
        (lambda rows: rows[~rows["name"].str.match(".*_0000_iae")], "no training video shows the model iae"),
        (
            lambda rows: rows.assign(split_scene=["test", *rows["split_scene"][1:]]),
            "scene id0_0000 stands in two parts",
        ),
        (lambda rows: pd.concat([rows, rows[:1]]), "more than once"),
    ],
)
def test_a_manifest_that_cannot_give_a_fair_score_is_an_error(crops, tmp_path, classes, settings, change, message):
    change(pd.read_parquet(crops / "manifest.parquet")).to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(DfdmError, match=message):
        start(crops, tmp_path, classes, settings, tmp_path / "manifest.parquet")


def test_originals_are_left_out_of_the_classification_and_other_models_too(crops, tmp_path, classes):
    rows = pd.read_parquet(crops / "manifest.parquet")
    original = rows[:1].assign(name="id0_0000_real", model="real")
    pd.concat([rows, original]).to_parquet(tmp_path / "manifest.parquet")
    found = run.read_manifest(tmp_path / "manifest.parquet", classes, "scene", 23)
    assert len(found) == len(rows)
    with pytest.raises(DfdmError, match="does not exist"):
        run.read_manifest(tmp_path / "none.parquet", classes, "scene", 23)
