"""Several videos through one predictor: what is printed, what is written, and the exit status."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from attribution.many import Table, answer, side_by_side
from attribution.prediction import Prediction, document
from attribution.predictor import Predictor, Telling
from dfdm.base.errors import DfdmError
from dfdm.base.files import write_json
from dfdm.base.progress import progress

ALL_PREDICTED, NONE_PREDICTED, SOME_PREDICTED = 0, 2, 3


def predict_all(
    predictor: Predictor,
    videos: list[Path],
    json_out: Path | None,
    picture: Path | None,
    page: Path | None = None,
    write_page: Callable[[Path, Prediction, Telling], None] | None = None,
    table: Path | None = None,
    load: Callable[[], Predictor] | None = None,
    jobs: int = 1,
) -> int:
    """Predict every video; DfdmError where `picture` or `page` does not fit the videos, or `table` is another's.

    `write_page` writes a page to a path. With `load`, which makes a predictor, several videos are predicted by `jobs`
    processes. Videos that `table` has already, the same file by its hash, are passed over where it is given.
    """
    pictures, pages = picture_files(videos, picture), picture_files(videos, page, ".html", "--page")
    quiet, telling = json_out == Path("-"), bool(pictures or pages)
    rows = Table(table, predictor.source.sha256, predictor.trained.classes) if table else None
    made = [video for video in videos if all(of[video].is_file() for of in (pictures, pages) if of)]
    known = {video for video in made if rows and rows.has(video)}
    left = [video for video in videos if video not in known]
    if known:
        print(f"{table} has {len(known)} of the {len(videos)} videos already", file=sys.stderr)
    predictions: list[Prediction] = []
    failures: dict[Path, str] = {}
    if load and len(left) > 1:
        answers = side_by_side(load, left, telling, min(jobs, len(left)))
        answers = progress(answers, len(left), "videos", "videos")
    else:
        answers = ((video, answer(predictor, video, telling)) for video in left)
    try:
        for video, found in answers:
            if rows:
                rows.add(video, found if isinstance(found, str) else found[0])
            if isinstance(found, str):
                failures[video] = found
                print(f"dfdm: {found}", file=sys.stderr)
                continue
            prediction, told = found
            predictions.append(prediction)
            if not quiet:
                print(prediction.text(), flush=True)
            if told and pages and write_page:
                write_page(pages[video], prediction, told)
            if told and pictures:
                from attribution.picture import save  # matplotlib, for those who want it

                save(pictures[video], prediction, told)
    finally:
        if rows:
            rows.write()
    found_all = document(predictions, failures)
    if quiet:
        print(json.dumps(found_all, indent=2, ensure_ascii=False, allow_nan=False))
    elif json_out:
        write_json(json_out, found_all)
    if not failures:
        return ALL_PREDICTED
    return SOME_PREDICTED if predictions or known else NONE_PREDICTED


def picture_files(
    videos: list[Path], picture: Path | None, suffix: str = ".png", flag: str = "--picture"
) -> dict[Path, Path]:
    """Where each video's picture (or page) goes: the .png itself, or <video's name>.png in a folder."""
    if picture is None:
        return {}
    if picture.suffix.lower() == suffix and not picture.is_dir():
        if len(videos) > 1:
            raise DfdmError(f"{flag} {picture} is one file for {len(videos)} videos; give a folder")
        return {videos[0]: picture}
    if picture.is_file():
        raise DfdmError(f"{flag} {picture} is a file and no {suffix}; give a name ending in {suffix}, or a folder")
    files = {video: picture / f"{video.name}{suffix}" for video in videos}
    if len(set(files.values())) < len(files):
        what = flag.removeprefix("--")
        raise DfdmError(f"two of the videos have the same name, and so would their {what}s in {picture}; rename one")
    return files
