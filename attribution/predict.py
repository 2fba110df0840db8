"""Several videos through one predictor: what is printed, what is written, and the exit status."""

import json
import sys
from pathlib import Path

from attribution.prediction import Prediction, document
from attribution.predictor import Predictor
from dfdm.base.errors import DfdmError
from dfdm.base.files import write_json

ALL_PREDICTED, NONE_PREDICTED, SOME_PREDICTED = 0, 2, 3


def predict_all(predictor: Predictor, videos: list[Path], json_out: Path | None, picture: Path | None) -> int:
    """Predict every video in turn; DfdmError where `picture` does not fit the videos."""
    pictures = picture_files(videos, picture)
    quiet = json_out == Path("-")
    predictions: list[Prediction] = []
    failures: dict[Path, str] = {}
    for video in videos:
        try:
            prediction, telling = predictor.predict(video, telling=picture is not None)
        except DfdmError as error:
            failures[video] = str(error)
            print(f"dfdm: {error}", file=sys.stderr)
            continue
        predictions.append(prediction)
        if not quiet:
            print(prediction.text(), flush=True)
        if telling:
            from attribution.picture import save  # matplotlib, for those who want it

            save(pictures[video], prediction, telling)
    found = document(predictions, failures)
    if quiet:
        print(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False))
    elif json_out:
        write_json(json_out, found)
    if not failures:
        return ALL_PREDICTED
    return SOME_PREDICTED if predictions else NONE_PREDICTED


def picture_files(videos: list[Path], picture: Path | None) -> dict[Path, Path]:
    """Where each video's picture goes: the .png itself, or <video's name>.png in a folder."""
    if picture is None:
        return {}
    if picture.suffix.lower() == ".png" and not picture.is_dir():
        if len(videos) > 1:
            raise DfdmError(f"--picture {picture} is one file for {len(videos)} videos; give a folder")
        return {videos[0]: picture}
    if picture.is_file():
        raise DfdmError(f"--picture {picture} is a file and no .png; give a name ending in .png, or a folder")
    files = {video: picture / f"{video.name}.png" for video in videos}
    if len(set(files.values())) < len(files):
        raise DfdmError(f"two of the videos have the same name, and so would their pictures in {picture}; rename one")
    return files
