"""Who made this video? From any video file to a prediction: face, crops, clips, logits, and the strongest clip."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax

from attribution.clips import Clips, Video, normalise
from attribution.evidence import Evidence, evidence
from attribution.inference import Trained, clip_logits, load
from attribution.models.blocks import fused
from attribution.prediction import Prediction, Seen, Source
from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.progress import progress
from dfdm.dataset.crops import CropReader, side_along, write_crops
from dfdm.dataset.settings import CropsConfig
from dfdm.media.detectors import Detector
from dfdm.media.settings import FacesConfig
from dfdm.media.tracks import track_planes
from dfdm.media.video import probe, read_planes


@dataclass(frozen=True)
class Telling:
    """The clip with the highest probability of the likeliest class: its number (from 1) and that probability.

    `frames` are as the classifier saw them, uint8 RGB `[T, size, size, 3]`; `crops` the whole crops behind them,
    `[T, side, side, 3]`, of whose side the classifier saw the middle `share` (None: not known); `frame_index` their
    numbers in the video, `[T]`; `evidence` the classifier's.
    """

    number: int
    probability: float
    frames: np.ndarray
    crops: np.ndarray
    share: float | None
    frame_index: np.ndarray
    evidence: Evidence


@dataclass(frozen=True)
class Predictor:
    """All that is the same for every video: the classifier, the detector and the settings of faces and crops."""

    trained: Trained
    source: Source
    detector: Detector
    faces: FacesConfig
    crops: CropsConfig
    device: torch.device

    def predict(self, video: Path, telling: bool = False) -> tuple[Prediction, Telling | None]:
        """One video's prediction and, where asked for, its strongest clip.

        DfdmError, one sentence, for a file that is not a complete video, shows no face, or fewer face frames than a
        clip.
        """
        settings, classes = self.trained.settings, self.trained.classes
        if not video.is_file():
            raise DfdmError(f"{video} does not exist or is not a file; give a video")
        record = probe(video, video.name, {"path": str(video)})
        planes = progress(read_planes(video, record), record.frames, f"faces of {video.name}", "frames")
        track = track_planes(planes, self.detector, record, self.faces)
        if len(track) == 0:
            raise DfdmError(f"{video} shows no face that {self.faces.detector} finds; there is nothing to classify")
        if len(track) < settings.clip:
            raise DfdmError(
                f"{video} is too short: {len(track)} frames show a face, and the classifier takes clips of "
                f"{settings.clip}; give a longer video"
            )
        counts, pieces, side = track.counts, len(np.unique(track.segment)), side_along(track, self.crops.margin)
        with tempfile.TemporaryDirectory(prefix="dfdm-predict-") as folder:
            crops = Path(folder) / "crops.safetensors"
            write_crops(crops, video, track, self.crops.margin, self.crops.smooth, {"name": video.name})
            clips = Clips([Video(video.name, 0, crops, len(track))], settings)
            logits, _ = clip_logits(self.trained.model, clips, self.device)  # [clips, classes]
            prediction = Prediction(
                video=str(video),
                sha256=record.sha256,
                seen=Seen(counts.frames, counts.with_face, counts.several_faces, pieces, side),
                classes=classes,
                logits=logits.mean(0),
                clips=len(logits),
                wanted=settings.test_clips,
                clip=settings.clip,
                resize=settings.resize if settings.pixels == "resized" else None,
                source=self.source,
            )
            return prediction, self._telling(clips, logits, prediction.best, CropReader(crops)) if telling else None

    def _telling(self, clips: Clips, logits: np.ndarray, target: int, reader: CropReader) -> Telling:
        """The clip with the highest probability of a class; of equal ones the first."""
        settings, shares = clips.settings, softmax(logits, axis=1)[:, target]  # [clips]
        number = int(shares.argmax())
        draw = clips.fixed()[number]
        frames = np.ascontiguousarray(clips.read(draw))  # [T, size, size, 3]
        values = normalise(torch.from_numpy(frames)[None], self.device, settings.channels_last)[0]
        found = evidence(fused(self.trained.model), values, target)
        rows = np.arange(draw.start, draw.start + settings.clip)
        share = settings.size / settings.resize if settings.pixels == "resized" else None
        index = reader.frame_index[rows]
        return Telling(number + 1, float(shares[number]), frames, reader.frames(rows), share, index, found)


def load_predictor(
    classifier: Path, detector: Detector, faces: FacesConfig, crops: CropsConfig, device: torch.device
) -> Predictor:
    """Read the classifier; DfdmError where the file is none or was trained on what a single video cannot give."""
    trained = load(classifier, device)
    if trained.settings.region != "all":
        raise DfdmError(
            f"{classifier} was trained on the {trained.settings.region} only, a control that needs the swaps of every "
            "model; give a classifier of whole faces"
        )
    torch.set_num_threads(trained.settings.threads)
    source = Source(str(classifier), sha256(classifier), trained.about)
    return Predictor(trained, source, detector, faces, crops, device)
