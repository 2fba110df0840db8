"""How good one training's swaps are, on frames that it never saw: docs/architectures.md, Evaluation.

Every video is decoded once: a scene's original and the crf 0 master of its swap run side by side, so that only
the frames that are measured stay in memory.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch

from dfdm.base.errors import DfdmError
from dfdm.base.names import VideoName, person_of
from dfdm.base.progress import Progress
from dfdm.media import alignment, colour, masks, metrics
from dfdm.media.detectors import Detector
from dfdm.media.identity import Embedder
from dfdm.media.planes import split_planes
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord, of_encoded, read_planes
from generators.checkpoint import ModelMeta
from generators.faces import FULL, cut
from generators.models.blocks import Autoencoder
from generators.results import Direction, Evaluation, Identity, Perfect, Reconstruction, References
from generators.settings import EvaluateConfig, RenderConfig
from generators.swap import Place, paste, placed

OPAQUE = 0.9  # of the mask: where the pixel is nearly only the new face, for the colours at its edge
AS_OPEN = 0.2  # eyes are as open as the original's within this share
RIM = 0.05  # the edge's width, as a share of the distance between the eyes


@dataclass(frozen=True)
class Scene:
    """One scene of the pair: the original's video, its track, and its swap's name and master (None: not made)."""

    video: Path
    track: FaceTrack
    swap: VideoName | None
    master: Path | None

    @property
    def person(self) -> str:
        """Whose scene it is."""
        return person_of(self.track.record.scene_key)


@dataclass(frozen=True)
class Tools:
    """What measuring needs besides the frames; without `embedder` identity is not measured."""

    model: Autoencoder
    about: ModelMeta
    render: RenderConfig
    detector: Detector
    embedder: Embedder | None
    device: torch.device


@dataclass
class Measured:
    """Figures gathered frame by frame: of one person's own faces, or of one direction's swaps."""

    frames: int = 0
    without_landmarks: int = 0
    clips: list[str] = field(default_factory=list)
    embeddings: list[np.ndarray] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def mean(self, name: str) -> float | None:
        """The mean of a figure; None where it was measured in no frame."""
        found = self.values[name]
        return float(np.mean(found)) if found else None

    def ratio(self, name: str, version: str = "") -> float | None:
        """A figure of a version over the same of the originals, sums over all frames; None without any."""
        below = sum(self.values[f"{name}_original"])
        return sum(self.values[name + version]) / below if below else None


def evaluate(
    tools: Tools, scenes: list[Scene], held_out: float, settings: EvaluateConfig, computed_on: dict[str, Any]
) -> Evaluation:
    """Measure a pair's reconstructions and swaps.

    `scenes`: every scene that the training saw. `held_out` is that training's. `computed_on` is kept with the figures.
    """
    people = tools.about.pair
    own = {person: Measured() for person in people}
    swaps: dict[tuple[str, str], Measured] = defaultdict(Measured)
    chosen = reference_rows(scenes, held_out, settings.references) if tools.embedder else {}
    with Progress(sum(scene.track.record.frames for scene in scenes), "evaluate", "frames") as shown:
        for index, scene in enumerate(scenes):
            person, other = scene.person, people[scene.person == people[0]]
            direction = swaps[person, other] if scene.swap else Measured()
            direction.clips += [scene.swap.clip] if scene.swap else []
            before: Frame | None = None
            for frame in frames_of(tools, scene, held_out, settings.frames, chosen.get(index, set()), shown):
                if frame.reference and tools.embedder:
                    own[person].embeddings.append(tools.embedder.describe(_rgb(frame.original, frame), frame.landmarks))
                if frame.held_out:
                    _measure_reconstruction(tools, frame, own[person], "a" if person == people[0] else "b")
                    _measure_swap(tools, frame, before, direction)
                    before = frame
    references = {person: np.mean(m.embeddings, 0) for person, m in own.items() if m.embeddings}
    about: dict[str, Any] = {"model": tools.about.model, "pair": people, "computed_on": computed_on}
    rebuilt = {p: Reconstruction(frames=m.frames, ssim=m.mean("ssim"), psnr=m.mean("psnr")) for p, m in own.items()}
    found = [_direction(*names, measured, references) for names, measured in swaps.items()]
    return Evaluation(**about, reconstruction=rebuilt, references=_references(own, references), swaps=found)


@dataclass(frozen=True)
class Frame:
    """One frame of a scene: planes of the original and of the swap (None: not made), where the face is.

    `landmarks` are the detector's, `place` where the swap was put (None: outside the frame, nothing was swapped).
    """

    index: int
    segment: int
    record: VideoRecord
    landmarks: np.ndarray
    original: np.ndarray
    swap: np.ndarray | None
    place: Place | None
    held_out: bool
    reference: bool

    @cached_property
    def versions(self) -> dict[str, np.ndarray]:
        """The planes by the end of a figure's name: the swap, the original, and the original's own face pasted."""
        found = {"": self.swap, "_original": self.original}
        if self.place is not None and self.swap is not None:
            rgb = _rgb(self.original, self, self.place.region)
            face = alignment.warp(rgb, self.place.matrix, len(self.place.mask))
            found["_perfect"] = paste(self.original, self.place, face, self.record)
        return {suffix: planes for suffix, planes in found.items() if planes is not None}

    @property
    def lumas(self) -> dict[str, np.ndarray]:
        """The Y planes of the versions."""
        return {suffix: split_planes(planes)[0] for suffix, planes in self.versions.items()}


def reference_rows(scenes: list[Scene], held_out: float, most: int) -> dict[int, set[int]]:
    """For each scene, by its place in the list, the rows of its track that stand for its person.

    At most `most` a person, evenly over all the faces that a training sees.
    """
    faces: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, scene in enumerate(scenes):
        faces[scene.person] += [(index, row) for row in range(scene.track.trained_count(held_out))]
    chosen: dict[int, set[int]] = defaultdict(set)
    for own in faces.values():
        for place in np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int):
            index, row = own[place]
            chosen[index].add(row)
    return chosen


def frames_of(
    tools: Tools, scene: Scene, held_out: float, most: int, references: set[int], shown: Progress
) -> Iterator[Frame]:
    """The frames of a scene that are measured, in order; each of its two videos is decoded once."""
    track, record, about = scene.track, scene.track.record, tools.about
    first = track.trained_count(held_out)
    measured = set(range(first, min(len(track), first + most)))
    wanted = {int(track.frame_index[row]): row for row in measured | references}
    smoothed = track.smoothed(tools.render.smooth)
    swaps = read_planes(scene.master, of_encoded(record), whole=True) if scene.master else repeat(None)
    for index, (planes, swap) in enumerate(zip(read_planes(scene.video, record), swaps)):
        shown.update()
        if (row := wanted.get(index)) is None:
            continue
        fit = (about.output_size, about.centering, about.coverage, tools.render, (record.width, record.height))
        place, where = placed(smoothed.landmarks[row], *fit), (index, int(track.segment[row]), record)
        seen = row in measured, row in references
        yield Frame(*where, track.landmarks[row], planes, swap, place, *seen)


def _rgb(planes: np.ndarray, frame: Frame, region: colour.Region | None = None) -> np.ndarray:
    return colour.yuv_to_rgb(planes, frame.record.matrix, frame.record.full_range, region)  # [H, W, 3]


@torch.inference_mode()
def _measure_reconstruction(tools: Tools, frame: Frame, person: Measured, side: Literal["a", "b"]) -> None:
    """A person's face through the own decoder, against the face as training would have it."""
    about, landmarks = tools.about, frame.landmarks
    full = alignment.align(_rgb(frame.original, frame), landmarks, FULL, about.centering)  # [384, 384, 3]
    fed, target = (cut(full, about.coverage, size) for size in (about.input_size, about.output_size))
    batch = torch.from_numpy(fed).to(tools.device).permute(2, 0, 1)[None].float() / 255  # [1, 3, in, in]
    made = tools.model.reconstruct(batch, side)[0].float().clamp(0, 1)  # [3, out, out]
    rebuilt = (made * 255).round().byte().permute(1, 2, 0).cpu().numpy()  # [out, out, 3]
    drawn = masks.draw_mask(landmarks, about.mask, (frame.record.width, frame.record.height))
    mask = masks.cut_mask(masks.training_mask(drawn), about.output_size, about.coverage, about.centering, landmarks)
    if mask.any():
        person.frames += 1
        person.values["ssim"].append(metrics.ssim(rebuilt, target, mask))
        person.values["psnr"].append(metrics.psnr(rebuilt, target, mask))


def _measure_swap(tools: Tools, frame: Frame, before: Frame | None, direction: Measured) -> None:
    """One frame of a swap against the same frame of the original."""
    if frame.place is None or frame.swap is None:
        return
    direction.frames += 1
    x0, y0, x1, y1 = region = frame.place.region
    mask = frame.place.frame_mask()  # [h, w]
    inside = np.zeros((frame.record.height, frame.record.width), bool)
    inside[y0:y1, x0:x1] = mask > 0.5
    rgb = _rgb(frame.swap, frame)
    if tools.embedder:
        direction.embeddings.append(tools.embedder.describe(rgb, frame.landmarks))
    found = nearest_face(tools.detector, rgb, frame.landmarks)
    if found is None:
        direction.without_landmarks += 1
    else:
        direction.values["landmark_error"].append(metrics.landmark_error(found, frame.landmarks))
        open_as = metrics.eye_opening(found) / max(1e-6, metrics.eye_opening(frame.landmarks))
        direction.values["eyes"].append(abs(open_as - 1) <= AS_OPEN)
    if inside.any():
        follows = before and (before.index + 1, before.segment) == (frame.index, frame.segment)
        earlier = before.lumas if before and follows else {}
        for suffix, luma in frame.lumas.items():
            direction.values["sharpness" + suffix].append(metrics.detail(luma, inside))
            if suffix in earlier:
                direction.values["flicker" + suffix].append(metrics.change(luma, earlier[suffix], inside))
    face = mask > OPAQUE
    edge = metrics.rim(face, max(1, round(RIM * alignment.eye_distance(frame.landmarks))))
    if edge.any():
        new, old, perfect = (_rgb(planes, frame, region) for planes in frame.versions.values())
        direction.values["edge_colour"].append(metrics.colour_difference(new, old, edge))
        direction.values["edge_colour_perfect"].append(metrics.colour_difference(perfect, old, edge))
        direction.values["colour_error"].append(metrics.uneven_colour(new, old, face))


def nearest_face(detector: Detector, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
    """The landmarks [68, 2] of the detected face nearest to a known one; None where none is within half of it."""
    middle, reach = landmarks.mean(axis=0), np.ptp(landmarks, axis=0).max() / 2

    def distance(face: np.ndarray) -> float:
        return float(np.linalg.norm(face.mean(axis=0) - middle))

    nearest = min((face.landmarks for face in detector.detect(rgb)), key=distance, default=None)
    return None if nearest is None or distance(nearest) > reach else nearest


def _away(embeddings: list[np.ndarray], mean: np.ndarray) -> np.ndarray:
    """How far faces lie from a person's mean, [n]."""
    return np.linalg.norm(np.array(embeddings) - mean, axis=1)


def _references(own: dict[str, Measured], means: dict[str, np.ndarray]) -> References | None:
    if len(means) < 2:
        return None
    return References(
        faces={person: len(own[person].embeddings) for person in means},
        apart=float(np.linalg.norm(np.subtract(*means.values()))),
        own={person: float(_away(own[person].embeddings, mean).mean()) for person, mean in means.items()},
    )


def _direction(video_id: str, face_id: str, found: Measured, references: dict[str, np.ndarray]) -> Direction:
    identity = None
    if found.embeddings and len(references) == 2:
        to_face, to_video = (_away(found.embeddings, references[person]) for person in (face_id, video_id))
        nearer = float((to_face < to_video).mean())
        identity = Identity(to_face=float(to_face.mean()), to_video=float(to_video.mean()), nearer_to_face=nearer)
    figures: dict[str, Any] = {
        name: found.mean(name) for name in ("landmark_error", "eyes", "colour_error", "edge_colour")
    }
    figures |= {name: found.ratio(name) for name in ("flicker", "sharpness")}
    perfect = {name: found.ratio(name, "_perfect") for name in ("flicker", "sharpness")}
    figures["perfect"] = Perfect(**perfect, edge_colour=found.mean("edge_colour_perfect")) if found.frames else None
    figures |= {"frames": found.frames, "frames_without_landmarks": found.without_landmarks, "clips": found.clips}
    return Direction(video_id=video_id, face_id=face_id, identity=identity, **figures)


def set_threads(count: int) -> None:
    """Let torch and OpenCV use `count` threads, so that the figures do not depend on the machine's cores."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def check_pair(about: ModelMeta, model: str, pair: tuple[str, str], path: Path) -> None:
    """Refuse weights of another model or of other people."""
    if (about.model, about.pair) != (model, pair):
        raise DfdmError(f"{path} is {about.model} of {' and '.join(about.pair)}, not {model} of {' and '.join(pair)}")
