"""Render a swap: put a model's face over the tracked face of each frame, planes in, planes out.

Source: docs/architectures.md, Conversion. Frames are I420; only the region around the face becomes RGB. The
new face goes back to YUV before it is warped onto the frame: colour conversion, warp and blend are affine, so
this gives the blend in RGB without its rounding, and leaves every sample bit for bit where the mask is 0.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

from dfdm.media import alignment, colour, masks
from dfdm.media.planes import split_planes
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import VideoRecord
from generators import colour_match
from generators.models.blocks import Autoencoder
from generators.settings import Centering, RenderConfig

_MARGIN = 4  # px of frame around the aligned square that resampling may read
_EDGE = 2  # px around the face that it is padded by before it is warped back: the reach of cubic resampling


@dataclass(frozen=True)
class Place:
    """Where in a frame a face is put: the box around the crop's square, and the mask on the crop.

    `matrix` [2, 3] maps pixels of the region to pixels of the crop; `back` is the same for the new face, which
    `render.face_scale` may draw larger or smaller. `mask` is [size, size] uint8, as the blend weighs it, `face` the
    same before it fades out at the crop's edges.
    """

    region: colour.Region
    matrix: np.ndarray
    back: np.ndarray
    mask: np.ndarray
    face: np.ndarray

    def padded_mask(self) -> np.ndarray:
        """The mask 0..1 with a border of zeros, [size + 2 edges, size + 2 edges] float32."""
        return np.pad(self.mask.astype(np.float32) / 255, _EDGE)

    def warp_back(self, layers: np.ndarray) -> np.ndarray:
        """Bring layers on the crop, padded by the edge on each side, onto the region: [h, w] or [h, w, C] float32."""
        x0, y0, x1, y1 = self.region
        matrix, size = self.back + np.array([0, 0, _EDGE]), (x1 - x0, y1 - y0)
        resampling = cv2.INTER_CUBIC if alignment.scale_of(self.back) < 1 else cv2.INTER_LINEAR
        flags = cv2.WARP_INVERSE_MAP | resampling
        return cv2.warpAffine(layers, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def frame_mask(self) -> np.ndarray:
        """How much of each pixel of the region is the new face, [h, w] float32 0..1, as the blend weighs it."""
        return self.warp_back(self.padded_mask()).clip(0, 1)


@dataclass
class _Target:
    """The face of one frame: where it is and what the model and the blend need of it."""

    place: Place
    fed: np.ndarray  # [in, in, 3] uint8 RGB
    old: np.ndarray  # [out, out, 3] uint8 RGB


class Swapper:
    """A model made ready to render one direction.

    `centering` and `coverage` are those the model was trained with; `to` is the side whose face is put in.
    """

    def __init__(
        self,
        model: Autoencoder,
        centering: Centering,
        coverage: float,
        to: Literal["a", "b"],
        settings: RenderConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self._model, self._device = model.to(device).eval(), torch.device(device)
        self._centering, self._coverage, self._to, self._settings = centering, coverage, to, settings

    def render(self, frames: Iterator[np.ndarray], track: FaceTrack) -> Iterator[np.ndarray]:
        """Swap the tracked face in a scene's frames (I420 uint8 [H * 3 / 2, W], all of them, in order).

        A frame without the face is given on as it came; in the others only the 2 x 2 blocks that the mask
        touches change. `frames` is read in a thread, a batch ahead of the model; the thread ends with the iterator.
        """
        track = track.smoothed(self._settings.smooth)
        rows = {int(frame): row for row, frame in enumerate(track.frame_index)}
        numbered = enumerate(frames)

        def prepare() -> list[tuple[np.ndarray, _Target | None]]:
            return [
                (planes, self._target(planes, track.landmarks[rows[index]], track.record) if index in rows else None)
                for index, planes in islice(numbered, self._settings.batch)
            ]

        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(prepare)
            while batch := coming.result():
                coming = thread.submit(prepare)
                targets = [target for _, target in batch if target is not None]
                faces = iter(self._swap(targets) if targets else [])
                for planes, target in batch:
                    yield planes if target is None else paste(planes, target.place, next(faces), track.record)

    def _target(self, planes: np.ndarray, landmarks: np.ndarray, record: VideoRecord) -> _Target | None:
        """Cut the face out of a frame; None where nothing of it is inside the frame."""
        size = self._model.output_size
        frame_size = (record.width, record.height)
        place = placed(landmarks, size, self._centering, self._coverage, self._settings, frame_size)
        if place is None:
            return None
        rgb = colour.yuv_to_rgb(planes, record.matrix, record.full_range, place.region)
        old = fed = alignment.warp(rgb, place.matrix, size)
        if self._model.input_size != size:
            crop = self._settings.convert_crop
            matrix = alignment.aligned_matrix(landmarks, self._model.input_size, self._centering, self._coverage, crop)
            fed = alignment.warp(rgb, _moved(matrix, place.region), self._model.input_size)
        return _Target(place, fed, old)

    @torch.inference_mode()
    def _swap(self, targets: list[_Target]) -> np.ndarray:
        """The new faces, RGB float32 0..255 [B, out, out, 3], in the colours of the old ones."""
        new = self._model.swap(self._tensor([target.fed for target in targets]), to=self._to).float()
        # [B, 3, out, out]
        old = self._tensor([target.old for target in targets])  # [B, 3, out, out]
        face = self._tensor([target.place.face[..., None] for target in targets])  # [B, 1, out, out]
        new = colour_match.match(self._settings.color, new, old, face)
        if self._settings.blend == "seamless":
            mask = self._tensor([target.place.mask[..., None] for target in targets])  # [B, 1, out, out]
            new = colour_match.clone(new, old, mask)
        return (new.clamp(0, 1) * 255).permute(0, 2, 3, 1).cpu().numpy()  # [B, out, out, 3]

    def _tensor(self, images: list[np.ndarray]) -> Tensor:
        stacked = torch.from_numpy(np.stack(images)).to(self._device)
        return stacked.permute(0, 3, 1, 2).float() / 255  # [B, C, size, size]


def paste(planes: np.ndarray, place: Place, face: np.ndarray, record: VideoRecord) -> np.ndarray:
    """Lay a face [size, size, 3], RGB 0..255, over a copy of a frame (I420)."""
    x0, y0, x1, y1 = place.region
    yuv = colour.rgb_to_yuv(face, record.matrix, record.full_range)
    # Beyond the square the colour continues and the mask is 0: no fringe where the mask reaches the edge.
    yuv = cv2.copyMakeBorder(yuv, _EDGE, _EDGE, _EDGE, _EDGE, cv2.BORDER_REPLICATE)
    layers = place.warp_back(cv2.merge([*cv2.split(yuv), place.padded_mask()]))  # [h, w, 4]
    luma, *chroma, mask = cv2.split(layers)
    mask = np.clip(mask, 0, 1)
    out = planes.copy()
    y, *uv = split_planes(out)
    _lay(y[y0:y1, x0:x1], luma, mask)
    half = colour.halve(mask)
    for plane, new in zip(uv, chroma):
        _lay(plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2], colour.halve(new), half)
    return out


def placed(
    landmarks: np.ndarray,
    size: int,
    centering: Centering,
    coverage: float,
    settings: RenderConfig,
    frame_size: tuple[int, int],
) -> Place | None:
    """Where a face of `size` px is put in a frame (width, height); None where nothing of it is inside.

    `centering` and `coverage` are those of the model's training. Source: docs/architectures.md, Conversion 1, 2.
    """
    matrix = alignment.aligned_matrix(landmarks, size, centering, coverage, settings.convert_crop)
    back = _scaled(matrix, size, settings.face_scale)
    region = _region(min(matrix, back, key=alignment.scale_of), size, frame_size)
    mask = masks.draw_mask(landmarks, settings.mask, frame_size)
    mask = masks.render_mask(mask, settings.mask_threshold, settings.mask_blur, settings.erosion)
    mask = face = masks.cut_mask(mask, size, coverage, centering, landmarks)
    if (fade := edge_fade(size, settings.edge)) is not None:
        mask = np.minimum(mask, fade)
    if region is None or not mask.any():
        return None
    return Place(region, _moved(matrix, region), _moved(back, region), mask, face)


def _scaled(matrix: np.ndarray, size: int, percent: float) -> np.ndarray:
    """A frame's matrix with the crop larger by `percent` about its middle; as the original does it, by 1 - percent."""
    scale = 1 - percent / 100
    return matrix * scale + np.array([[0, 0, 1], [0, 0, 1]]) * (1 - scale) * size / 2


@cache
def edge_fade(size: int, edge: float) -> np.ndarray | None:
    """The most that the mask may be near the crop's edges, [size, size] uint8; None where `edge` is 0.

    The 2021 original's box mask, which it took the minimum with: zeros over `edge` of the size on each side, then
    a Gaussian (kernel 7 at 64 px, 13 at 128 px for 0.055). Source: docs/architectures.md, Conversion 2.
    """
    if edge == 0:
        return None
    width = max(1, round(edge * size))
    box = np.zeros((size, size), np.uint8)
    box[width:-width, width:-width] = 255
    return cv2.GaussianBlur(box, (2 * width - 1, 2 * width - 1), 0)


def _region(matrix: np.ndarray, size: int, frame_size: tuple[int, int]) -> colour.Region | None:
    """The even box of the frame that holds the aligned square and a margin; None outside the frame."""
    corners = np.array([[0, 0], [size - 1, 0], [size - 1, size - 1], [0, size - 1]])
    square = alignment.transform(corners, alignment.invert(matrix))
    low = np.maximum(np.floor(square.min(axis=0)) - _MARGIN, 0).astype(int) // 2 * 2
    high = np.minimum(np.ceil(square.max(axis=0)) + 1 + _MARGIN, frame_size).astype(int) // 2 * 2
    return (*low.tolist(), *high.tolist()) if (low < high).all() else None


def _moved(matrix: np.ndarray, region: colour.Region) -> np.ndarray:
    """A frame's matrix for coordinates that count from the region's corner."""
    return np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ np.array(region[:2])])


def _lay(plane: np.ndarray, new: np.ndarray, mask: np.ndarray) -> None:
    """Blend new samples into a uint8 plane by a mask 0..1; where it is 0 the plane stays exactly."""
    old = plane.astype(np.float32)
    plane[:] = np.rint(old + mask * (new - old)).clip(0, 255)
