"""Rendering a swap (docs/architectures.md, Conversion), on real frames with models whose answer is known."""

import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfdm.base.errors import DfdmError
from dfdm.media import alignment, colour, detectors, masks
from dfdm.media.planes import split_planes
from dfdm.media.tracks import FaceTrack, TrackCounts, track_faces
from dfdm.media.video import VideoRecord, probe, read_planes
from generators import models
from generators.colour_match import match_mean
from generators.settings import RenderConfig
from generators.swap import Swapper, edge_fade, paste, placed

pytestmark = pytest.mark.long

CLIPS = {"woman": ("WolfgangLanger_Pexels.mp4", (320, 326)), "man": ("single_face.mp4", (30, 36))}


class Known(nn.Module):
    """A model that resizes its input and changes it in a known way; it remembers what it was fed."""

    def __init__(self, input_size: int, output_size: int, change=lambda faces: faces) -> None:
        super().__init__()
        self.input_size, self.output_size, self._change = input_size, output_size, change
        self.fed: list[Tensor] = []
        self.sides: set[str] = set()

    def swap(self, faces: Tensor, to: str) -> Tensor:
        self.fed.append(faces)
        self.sides.add(to)
        size = (self.output_size, self.output_size)
        return self._change(nn.functional.interpolate(faces, size=size, mode="bilinear"))


def green(faces: Tensor) -> Tensor:
    return torch.zeros_like(faces) + torch.tensor([0.1, 0.8, 0.2]).view(1, 3, 1, 1)


@pytest.fixture(scope="module")
def scenes(clips, predictor) -> dict[str, tuple[list[np.ndarray], FaceTrack]]:
    """Six frames of the woman and of the man as planes, and their tracks."""
    detector = detectors.build("dlib", predictor=predictor)
    found = {}
    for who, (name, frames) in CLIPS.items():
        record = probe(clips / name, "id0_0001", {"path": name}, frames)
        planes = list(read_planes(clips / name, record))
        rgb = (colour.yuv_to_rgb(frame, record.matrix, record.full_range) for frame in planes)
        found[who] = planes, track_faces(rgb, detector, record)
        assert len(found[who][1]) == 6
    return found


def render(model: nn.Module, scene: tuple[list[np.ndarray], FaceTrack], to: str = "b", **settings) -> list[np.ndarray]:
    planes, track = scene
    before = [frame.copy() for frame in planes]
    out = list(Swapper(model, "face", 0.875, to, RenderConfig(**settings)).render(iter(planes), track))
    assert len(out) == len(planes)
    for frame, copy in zip(planes, before):
        np.testing.assert_array_equal(frame, copy)  # the decoded frames are left alone
    return out


def moved(scene: tuple[list[np.ndarray], FaceTrack], shift: tuple[float, float]) -> tuple[list[np.ndarray], FaceTrack]:
    planes, track = scene
    return planes, track_of(track.record, track.frame_index, track.landmarks + np.float32(shift))


def track_of(record: VideoRecord, frames: np.ndarray, landmarks: np.ndarray) -> FaceTrack:
    boxes = np.concatenate([landmarks.min(1), landmarks.max(1)], 1)
    n = len(frames)
    counts = TrackCounts(record.frames, n, 0, 0)
    return FaceTrack(record, frames, landmarks, boxes, np.ones(n, np.float32), np.zeros(n, np.int32), counts)


def frame_mask(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The blurred mask in the frame, 0..1, by nearest samples of the whole 128 px one."""
    stored = masks.render_mask(masks.draw_mask(landmarks, "extended", (shape[1], shape[0])))
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    points = np.stack([x.ravel(), y.ravel()], 1)
    where = np.rint(alignment.transform(points, alignment.aligned_matrix(landmarks, 128, "face"))).astype(int)
    seen = ((where >= 0) & (where < 128)).all(1)
    mask = np.zeros(len(points))
    mask[seen] = stored[where[seen, 1], where[seen, 0]] / 255
    return mask.reshape(shape)


OPTIONS = [
    {"color": "none"},
    {"color": "local"},
    {"color": "reinhard"},
    {"color": "histogram"},
    {"color": "none", "blend": "seamless"},
]


def mottled(faces: Tensor) -> Tensor:
    """Other colours everywhere, with a spread of their own."""
    return (1 - faces.flip(1)) * torch.tensor([0.5, 1.0, 0.7]).view(1, 3, 1, 1)


@pytest.mark.parametrize("who", CLIPS)
@pytest.mark.parametrize(("size", "output"), [(64, 64), (64, 128), (128, 128)])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_outside_the_mask_grown_to_whole_blocks_every_sample_stays(scenes, who, size, output, options):
    planes, track = scenes[who]
    if options != {"color": "none"}:  # the slower options on two frames
        planes, track = planes[:2], track_of(track.record, track.frame_index[:2], track.landmarks[:2])
    change = green if options == {"color": "none"} else mottled
    out = render(Known(size, output, change), (planes, track), **options)
    for before, after, landmarks in zip(planes, out, track.landmarks):
        luma_shape = split_planes(before)[0].shape
        mask = frame_mask(landmarks, luma_shape)
        reach = int(np.ceil(2.5 / alignment.scale_of(alignment.aligned_matrix(landmarks, output, "face", 0.875))))
        grown = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1)))  # what resampling the mask may reach
        blocks = grown.reshape(luma_shape[0] // 2, 2, luma_shape[1] // 2, 2).max((1, 3)) > 0
        for old, new, allowed in zip(
            split_planes(before), split_planes(after), (blocks.repeat(2, 0).repeat(2, 1), blocks, blocks)
        ):
            assert 0.02 < allowed.mean() < 0.6
            np.testing.assert_array_equal(old[~allowed], new[~allowed])
            assert (old != new)[allowed].mean() > 0.4


@pytest.mark.parametrize("who", CLIPS)
def test_where_the_mask_is_full_the_new_face_shows_and_its_edge_is_soft(scenes, who):
    planes, track = scenes[who]
    out = render(Known(64, 64, green), scenes[who], color="none")
    record = track.record
    colours = np.full((2, 2, 3), [25.5, 204, 51], np.float32)
    wanted = colour.rgb_to_yuv(colours, record.matrix, record.full_range)[0, 0]
    for before, after, landmarks in zip(planes, out, track.landmarks):
        luma_shape = split_planes(before)[0].shape
        full = cv2.erode((frame_mask(landmarks, luma_shape) > 0.99).astype(np.uint8), np.ones((21, 21)))
        for plane, value, inside in zip(split_planes(after), wanted, (full, full[::2, ::2], full[::2, ::2])):
            assert np.abs(plane[inside > 0] - value).max() <= 1
        chin = np.rint(landmarks[8]).astype(int)
        nose = np.rint(landmarks[30]).astype(int)
        assert full[nose[1], nose[0]]
        change = np.abs(after[: luma_shape[0]].astype(int) - before[: luma_shape[0]])
        column = change[nose[1] : chin[1] + 30, nose[0]].astype(float)
        assert column[0] > 0
        assert column[-1] == 0


def test_the_blend_is_the_one_in_rgb_within_2_levels(scenes):
    """Against the conversion written down plainly: whole frames, RGB, float, one step after another."""

    def darker(faces: Tensor) -> Tensor:
        return faces * torch.tensor([0.6, 0.8, 0.7]).view(1, 3, 1, 1)

    planes, track = scenes["woman"]
    out = render(Known(64, 64, darker), scenes["woman"])
    record = track.record
    for before, after, landmarks in zip(planes, out, track.landmarks):
        rgb = colour.yuv_to_rgb(before, record.matrix, record.full_range)
        height, width = rgb.shape[:2]
        matrix = alignment.aligned_matrix(landmarks, 64, "face", 0.875)
        old = cv2.warpAffine(rgb, matrix, (64, 64), flags=cv2.INTER_LINEAR) / 255.0
        new = old * [0.6, 0.8, 0.7]
        mask = masks.render_mask(masks.draw_mask(landmarks, "extended", (width, height)))[8:120, 8:120]
        mask = cv2.resize(mask, (64, 64), interpolation=cv2.INTER_AREA) / 255.0
        for _ in range(2):
            new = new + ((old - new) * mask[..., None]).sum((0, 1)) / mask.sum()
        layers = np.dstack([new.clip(0, 1), mask]).astype(np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(layers, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        alpha = back[..., 3:].clip(0, 1)
        blended = np.rint((alpha * back[..., :3] * 255 + (1 - alpha) * rgb).clip(0, 255)).astype(np.float32)
        expected = colour.rgb_to_yuv(blended, record.matrix, record.full_range)[..., 0]
        untouched = colour.rgb_to_yuv(rgb, record.matrix, record.full_range)[..., 0]
        found = after[:height].astype(float)
        # compared off the crop's edge (faded there, by one of its pixels), and where RGB can show the old frame
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        place = alignment.transform(np.stack([x.ravel(), y.ravel()], 1), matrix).reshape(height, width, 2)
        inner = ((place > 3) & (place < 60)).all(-1) & (np.abs(untouched - before[:height]) < 0.8)
        assert inner.sum() > 20_000
        assert np.abs(found - expected)[inner].max() <= 2


def reading(frames: Iterator[np.ndarray], threads: set[str]) -> Iterator[np.ndarray]:
    """Pass frames on and note in which threads they are asked for."""
    for frame in frames:
        threads.add(threading.current_thread().name)
        yield frame


def test_frames_are_read_a_batch_ahead_in_a_thread_that_ends_when_rendering_is_given_up(scenes):
    planes, track = scenes["woman"]
    left, threads = iter(planes), set()
    rendering = Swapper(Known(64, 64), "face", 0.875, "b", RenderConfig(batch=2)).render(reading(left, threads), track)
    next(rendering)
    rendering.close()
    assert len(list(left)) == 2  # of six: two were on their way out, two prepared meanwhile
    assert threads
    assert threading.main_thread().name not in threads
    assert threads.isdisjoint(thread.name for thread in threading.enumerate())


def test_a_fault_while_reading_ahead_surfaces_after_the_frames_before_it(scenes):
    planes, track = scenes["woman"]
    threads: set[str] = set()

    def damaged() -> Iterator[np.ndarray]:
        yield from reading(iter(planes[:3]), threads)
        raise DfdmError("damaged after frame 3")

    rendering = Swapper(Known(64, 64), "face", 0.875, "b", RenderConfig(batch=2)).render(damaged(), track)
    assert len([next(rendering), next(rendering)]) == 2
    with pytest.raises(DfdmError, match="damaged after frame 3"):
        next(rendering)
    assert threads.isdisjoint(thread.name for thread in threading.enumerate())


def test_a_face_that_did_not_change_leaves_the_frame_nearly_as_it_was(scenes):
    for who in CLIPS:
        for before, after in zip(scenes[who][0], render(Known(256, 256), scenes[who])):
            change = np.abs(after.astype(int) - before)
            assert change.max() > 0
            assert change.mean() < 0.3


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_frames_without_the_face_are_given_on_unchanged(scenes, options):
    planes, track = scenes["man"]
    sparse = track_of(track.record, track.frame_index[[1, 4]], track.landmarks[[1, 4]])
    out = render(Known(64, 64, green), (planes, sparse), batch=3, **options)
    for index, (before, after) in enumerate(zip(planes, out)):
        assert np.array_equal(before, after) == (index not in (1, 4))
    empty = track_of(track.record, track.frame_index[:0], track.landmarks[:0])
    for before, after in zip(planes, render(Known(64, 64, green), (planes, empty))):
        np.testing.assert_array_equal(before, after)


def test_a_face_at_the_frames_edge_is_rendered_and_one_outside_it_is_not(scenes):
    width = scenes["man"][1].record.width
    for shift, change in (((-180, 0), True), ((0, 120), True), ((0, -120), True), ((-2 * width, 0), False)):
        scene = moved(scenes["man"], shift)
        out = render(Known(64, 64, green), scene, color="none")
        assert (not np.array_equal(scene[0][0], out[0])) == change


@pytest.mark.parametrize("who", CLIPS)
def test_there_is_no_fringe_where_the_mask_reaches_the_edge_of_the_crop(scenes, who):
    """With a chin below the crop: every changed sample is between the old one and the new colour."""
    planes, track = scenes[who]
    lower = track.landmarks.copy()
    lower[:, 4:13, 1] += 60
    scene = planes, track_of(track.record, track.frame_index, lower)
    out = render(Known(64, 64, green), scene, color="none")
    colours = np.full((2, 2, 3), [25.5, 204, 51], np.float32)
    wanted = colour.rgb_to_yuv(colours, track.record.matrix, track.record.full_range)[0, 0]
    for before, after in zip(planes, out):
        for old, new, value in zip(split_planes(before), split_planes(after), wanted):
            assert (new >= np.minimum(old, value) - 1).all()
            assert (new <= np.maximum(old, value) + 1).all()


def test_the_batch_size_changes_no_byte(scenes):
    once, again = (render(Known(64, 64), scenes["woman"], batch=batch) for batch in (1, 4))
    for one, other in zip(once, again):
        np.testing.assert_array_equal(one, other)


def test_the_model_sees_the_aligned_face_at_its_own_coverage_and_size(scenes):
    planes, track = scenes["woman"]
    for crop in ("exact", "2021"):
        model = Known(64, 128)
        render(model, scenes["woman"], to="a", convert_crop=crop)
        assert model.sides == {"a"}
        fed = torch.cat(model.fed)
        assert fed.shape == (6, 3, 64, 64)
        rgb = colour.yuv_to_rgb(planes[0], track.record.matrix, track.record.full_range)
        expected = alignment.align(rgb, track.landmarks[0], 64, "face", 0.875, crop)
        assert np.abs(fed[0].permute(1, 2, 0).numpy() * 255 - expected).max() <= 2


def test_avg_color_gives_the_new_face_the_masked_mean_of_the_old():
    rng = np.random.default_rng(0)
    new, old = (torch.from_numpy(rng.uniform(0, 1, (2, 3, 8, 8)).astype(np.float32)) for _ in range(2))
    mask = torch.from_numpy(rng.uniform(0, 1, (2, 1, 8, 8)).astype(np.float32))
    mask[1] = 0
    found = match_mean(new, old, mask)
    for channel in range(3):
        weight = mask[0, 0].numpy()
        means = [np.average(face[0, channel].numpy(), weights=weight) for face in (found, old)]
        assert means[0] == pytest.approx(means[1], abs=1e-5)
        shift = (found - new)[0, channel]
        assert float(shift.max() - shift.min()) < 1e-6  # one shift for all pixels
    assert torch.equal(found[1], new[1])  # nothing to measure under an empty mask


def test_erosion_shrinks_what_is_swapped_and_a_negative_one_grows_it(scenes):
    counts = []
    for erosion in (-4, 0, 4):
        out = render(Known(64, 64, green), scenes["man"], color="none", erosion=erosion)
        counts.append(np.mean([before != after for before, after in zip(scenes["man"][0], out)]))
    assert counts[0] > 1.1 * counts[1]
    assert counts[2] < 0.9 * counts[1]


def test_smoothing_renders_along_the_smoothed_landmarks(scenes):
    planes, track = scenes["man"]
    smooth = render(Known(64, 64, green), scenes["man"], smooth=1.5)
    expected = render(Known(64, 64, green), (planes, track.smoothed(1.5)))
    raw = render(Known(64, 64, green), scenes["man"])
    for one, other in zip(smooth, expected):
        np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(one, other) for one, other in zip(smooth, raw))


@pytest.mark.parametrize("name", models.names())
def test_every_autoencoder_renders_both_directions(scenes, name):
    torch.manual_seed(0)
    model = models.build(name, width=1 / 32)
    planes, track = scenes["man"]
    for to in ("a", "b"):
        out = render(model, (planes[:2], track), to=to)
        assert not np.array_equal(out[0], planes[0])
        assert out[0].shape == planes[0].shape
        assert out[0].dtype == np.uint8


@pytest.mark.parametrize("centering", ["legacy", "head"])
def test_other_centerings_cover_the_same_part_of_the_frame(scenes, centering):
    planes, track = scenes["man"]
    settings = RenderConfig(color="none")
    changed = [
        next(Swapper(Known(256, 256, green), kind, 1.0, "b", settings).render(iter(planes), track)) != planes[0]
        for kind in ("face", centering)
    ]
    assert np.logical_xor(*changed).sum() < 0.1 * changed[0].sum()


@pytest.mark.parametrize(("size", "kernel"), [(64, 7), (128, 13)])
def test_the_mask_fades_out_at_the_edges_of_the_crop_as_in_2021(size: int, kernel: int) -> None:
    fade = edge_fade(size, 0.055)
    assert fade is not None
    margin = round(0.055 * size)
    box = np.zeros((size, size), np.uint8)
    box[margin:-margin, margin:-margin] = 255
    assert np.array_equal(fade, cv2.GaussianBlur(box, (kernel, kernel), 0))
    assert max(fade[0].max(), fade[-1].max(), fade[:, 0].max(), fade[:, -1].max()) <= 3
    assert fade[2 * margin : -2 * margin, 2 * margin : -2 * margin].min() == 255
    assert edge_fade(size, 0) is None


def test_colours_are_matched_under_the_mask_before_it_fades_out(scenes):
    planes, track = scenes["man"]
    fit = 64, "face", 0.875
    size = track.record.width, track.record.height
    place, whole = (placed(track.landmarks[0], *fit, RenderConfig(edge=edge), size) for edge in (0.055, 0.0))
    np.testing.assert_array_equal(place.face, whole.mask)
    assert (place.mask < place.face).any()
    first = planes[:1], track_of(track.record, track.frame_index[:1], track.landmarks[:1])
    edges = [render(Known(64, 64, mottled), first, edge=edge)[0] for edge in (0.055, 0.0)]
    luma = [split_planes(frame)[0] for frame in edges]
    inner = place.frame_mask() == 1
    x0, y0, x1, y1 = place.region
    np.testing.assert_array_equal(*(frame[y0:y1, x0:x1][inner] for frame in luma))


def test_the_own_face_pasted_is_the_frame_but_for_what_its_size_loses(scenes):
    planes, track = scenes["woman"]
    size = track.record.width, track.record.height
    place = placed(track.landmarks[0], 128, "face", 0.875, RenderConfig(), size)
    rgb = colour.yuv_to_rgb(planes[0], track.record.matrix, track.record.full_range, place.region)
    out = paste(planes[0], place, alignment.warp(rgb, place.matrix, 128), track.record)
    change = np.abs(out.astype(int) - planes[0])
    assert 0.2 < change[change > 0].mean() < 4
