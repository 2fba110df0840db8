"""The quality table, from evaluation files with known figures."""

from pathlib import Path

import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.files import write_json
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.report.evaluation import format_table, read_evaluations, table, warnings
from generators.results import Direction, Evaluation, Identity, Perfect, Reconstruction, References
from tests.result_files import delete_each_key


def swap(video_id: str, face_id: str, to_face: float, to_video: float, share: float, lost: int = 0) -> Direction:
    return Direction(
        video_id=video_id,
        face_id=face_id,
        clips=[f"{video_id}_{face_id}_0000"],
        frames=8,
        frames_without_landmarks=lost,
        identity=Identity(to_face=to_face, to_video=to_video, nearer_to_face=share),
        landmark_error=0.05,
        flicker=None,
        sharpness=0.1,
        edge_colour=4.0,
        eyes=0.9,
        colour_error=None,
        perfect=Perfect(flicker=0.9, sharpness=0.2, edge_colour=1.0),
    )


def write(results: Path, model: str, ssim: float, *swaps: Direction) -> Path:
    path = Path(Layout(str(results)).evaluate("id0_id1", model))
    Evaluation(
        model=model,
        pair=("id0", "id1"),
        computed_on={"version": "0"},
        reconstruction={
            person: Reconstruction(frames=8, ssim=ssim, psnr=psnr) for person, psnr in (("id0", 20.0), ("id1", 30.0))
        },
        references=References(faces={"id0": 4, "id1": 4}, apart=0.8, own={"id0": 0.2, "id1": 0.1}),
        swaps=list(swaps),
    ).write(path)
    return path


def test_a_model_is_the_mean_of_its_directions_each_with_its_face_ids_decoder(demo: Config, tmp_path: Path) -> None:
    write(tmp_path, "iae", 0.9, swap("id0", "id1", 0.4, 0.8, 1.0), swap("id1", "id0", 0.6, 0.7, 0.5))
    missing: list[str] = []
    found = read_evaluations(demo, tmp_path, missing)
    mean, first, second = table(found)
    assert (mean.label, first.label, second.label) == ("mean", "id0_id1", "id1_id0")
    assert (first.figures["psnr"], second.figures["psnr"], mean.figures["psnr"]) == (30, 20, 25)
    assert mean.figures["to_face"] == pytest.approx(0.5)
    assert mean.figures["flicker"] is None
    assert mean.figures["of_perfect"] == pytest.approx(0.5)
    assert mean.frames == 16
    assert warnings(found) == []
    assert len(missing) == 4
    head, line, first_row, *_ = format_table(found).splitlines()
    assert (set(line), "75 %" in first_row) == ({"-", " "}, True)
    assert head.startswith("model")


def test_a_swap_that_shows_the_other_person_or_a_blur_is_told(demo: Config, tmp_path: Path) -> None:
    write(tmp_path, "iae", 0.9, swap("id0", "id1", 0.8, 0.7, 0.1), swap("id1", "id0", 0.5, 0.6, 0.6))
    write(tmp_path, "dfaker", 0.3, swap("id0", "id1", 0.4, 0.8, 1.0, lost=3))
    told = warnings(read_evaluations(demo, tmp_path, []))
    assert len(told) == 3
    assert told[0].startswith("iae is undertrained: its swaps id0_id1 are not nearer to face_id than to video_id")
    assert told[1].startswith("dfaker looks undertrained")
    assert "no face in more than a quarter of the frames of id0_id1" in told[2]


def test_identity_that_was_not_measured_is_said_so(demo: Config, tmp_path: Path) -> None:
    write(tmp_path, "iae", 0.9, swap("id0", "id1", 0, 0, 0).model_copy(update={"identity": None}))
    found = read_evaluations(demo, tmp_path, [])
    assert warnings(found) == ["Identity was not measured: the config's evaluate.identity is null."]
    assert "–" in format_table(found)


def test_a_file_without_a_figure_is_one_sentence(demo: Config, tmp_path: Path) -> None:
    write_json(Layout(str(tmp_path)).evaluate("id0_id1", "iae"), {"swaps": [{}]})
    with pytest.raises(
        DfdmError, match=r"iae\.json: model is missing; delete the file and run the stage evaluate again"
    ):
        read_evaluations(demo, tmp_path, [])
    path = write(tmp_path, "iae", 0.9, swap("id0", "id1", 0.4, 0.8, 1.0))
    assert delete_each_key(Evaluation, path, tmp_path) == 40
