"""Who made this video? From any video file to a prediction: face, crops, clips, logits, and the strongest clip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from attribution.clips import as_taken, normalise
from attribution.evidence import Evidence, evidence
from attribution.inference import Trained, load, logits_of
from attribution.models.blocks import fused
from attribution.prediction import Prediction, Seen, Source
from attribution.sampling import Sampled, sample
from dfdm.base.errors import DfdmError, shown
from dfdm.base.files import sha256
from dfdm.dataset.settings import CropsConfig
from dfdm.media.detectors import Detector
from dfdm.media.settings import FacesConfig
from dfdm.media.video import probe


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
    """All that is the same for every video: the classifier, the detector and the settings of faces and crops.

    `network`: the classifier's model for inference (attribution.models.blocks.fused). `shown`: with progress on stderr.
    """

    trained: Trained
    network: nn.Module
    source: Source
    detector: Detector
    faces: FacesConfig
    crops: CropsConfig
    device: torch.device
    shown: bool = True

    def predict(self, video: Path, telling: bool = False) -> tuple[Prediction, Telling | None]:
        """One video's prediction and, where asked for, its strongest clip.

        DfdmError, one sentence, for a file that is not a complete video, shows no face, or fewer face frames than a
        clip.
        """
        settings, classes = self.trained.settings, self.trained.classes
        if not str(video).isprintable():  # a surrogate stands for a byte that is not UTF-8
            raise DfdmError(f"{shown(video)} has a name that is not UTF-8 or not printable; rename it")
        if not video.is_file():
            raise DfdmError(f"{video} does not exist or is not a file; give a video")
        record = probe(video, video.name, {"path": str(video)})
        sampled = sample(
            video, record, self.detector, self.faces, self.crops, settings.clip, settings.test_clips, self.shown
        )
        track, counts = sampled.track, sampled.track.counts
        if len(track) == 0:
            raise DfdmError(f"{video} shows no face that {self.faces.detector} finds; there is nothing to classify")
        if len(track) < settings.clip:
            raise DfdmError(
                f"{video} is too short: {len(track)} frames show a face, and the classifier takes clips of "
                f"{settings.clip}; give a longer video"
            )
        cut = as_taken(settings, sampled.landmarks)
        clips = np.stack([cut(sampled.clip(number, settings.clip)) for number in range(len(sampled.starts))])
        logits = logits_of(self.network, clips, settings, self.device)  # [clips, classes]
        pieces = len(np.unique(track.segment))
        prediction = Prediction(
            video=str(video),
            sha256=record.sha256,
            seen=Seen(record.frames, counts.frames, counts.with_face, counts.several_faces, pieces, sampled.side),
            classes=classes,
            logits=logits.mean(0),
            clips=len(logits),
            wanted=settings.test_clips,
            clip=settings.clip,
            resize=settings.resize if settings.pixels == "resized" else None,
            source=self.source,
        )
        return prediction, self._telling(sampled, clips, logits, prediction.best) if telling else None

    def _telling(self, sampled: Sampled, clips: np.ndarray, logits: np.ndarray, target: int) -> Telling:
        """The clip with the highest probability of a class; of equal ones the first."""
        settings, shares = self.trained.settings, softmax(logits, axis=1)[:, target]  # [clips]
        number = int(shares.argmax())
        values = normalise(torch.from_numpy(clips[number])[None], self.device, settings.channels_last)[0]
        found = evidence(self.network, values, target)
        share = settings.size / settings.resize if settings.pixels == "resized" else None
        index = sampled.track.frame_index[sampled.starts[number] :][: settings.clip]
        crops = sampled.clip(number, settings.clip)
        return Telling(number + 1, float(shares[number]), clips[number], crops, share, index, found)


def load_predictor(
    classifier: Path,
    detector: Detector,
    faces: FacesConfig,
    crops: CropsConfig,
    device: torch.device,
    shown: bool = True,
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
    return Predictor(trained, fused(trained.model), source, detector, faces, crops, device, shown)
