import json
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from dfdm import config as dfdm_config
from dfdm import keys
from dfdm.dataset.splits import split_videos
from dfdm.errors import DfdmError
from dfdm.files import atomic, digest
from dfdm.layout import Layout, targets, videos_of
from dfdm.names import ID, REAL, SCENE, pair_of

try:
    cfg = dfdm_config.load(dict(config))
    # A part of a split without a video is told now, not after the trainings.
    for kind in ("scene", "identity"):
        if getattr(cfg.splits, kind):
            split_videos(
                [video.name for video in videos_of(cfg, f"crf{cfg.qualities[0]}")],
                kind,
                cfg.splits,
                cfg.seed,
            )
except DfdmError as error:
    raise WorkflowError(str(error)) from None

layout = Layout(cfg.results)
MODELS = list(cfg.models)
# The config as the commands read it, with --config's values in it and its order kept (classes stand in it); named
# by content, so never changed under a running job.
CONFIG_TEXT = json.dumps(config, indent=1)
CONFIG = f"{cfg.results}/config/{digest(CONFIG_TEXT)[:12]}.json"
if not Path(CONFIG).exists():
    with atomic(CONFIG) as temporary:
        temporary.write_text(CONFIG_TEXT)
# The commands take their config from there, and are found in the environment that runs snakemake where no other
# has them on the PATH. Neither is a param: where the config lies changes no bytes.
shell.prefix(
    f"set -euo pipefail; export DFDM_CONFIG={quote(CONFIG)} PATH=$PATH:{quote(str(Path(sys.executable).parent))}; "
)


wildcard_constraints:
    scene=rf"{ID}_{SCENE}",
    clip=rf"{ID}(_{ID})?_{SCENE}",
    pair=rf"{ID}_{ID}",
    model="|".join([*MODELS, REAL]),
    crf=r"\d+",
    target="|".join(targets(cfg)),


def scene_file(wildcards):
    """A scene's video where config gives its path: a newer file makes everything after it again."""
    scene = cfg.scene(wildcards.scene)
    return (
        []
        if scene.path is None
        else [str(Path(cfg.sources.root).expanduser() / scene.path)]
    )


def scenes_of_pair(wildcards):
    """The tracks of every scene of two people."""
    people = wildcards.pair.split("_")
    return [layout.track(key) for key in cfg.scene_keys if key.split("_")[0] in people]


def scene_of_clip(wildcards):
    """The track of the scene whose frames a clip shows."""
    parts = wildcards.clip.split("_")
    return layout.track(f"{parts[0]}_{parts[-1]}")


def checkpoint_of_clip(wildcards):
    """The weights that render a clip: of the pair of its two people."""
    video_id, face_id, _ = wildcards.clip.split("_")
    return layout.checkpoint("_".join(pair_of(video_id, face_id)), wildcards.model)


def dataset_files(target):
    """Videos, sidecars and crops of a target."""
    files = []
    for video in videos_of(cfg, target):
        where = (video.name.clip, video.name.model, video.crf)
        files += [layout.video(*where), layout.sidecar(*where), layout.crops(*where)]
    return files


def sidecars(wildcards):
    """The sidecars that a manifest merges."""
    return [
        layout.sidecar(v.name.clip, v.name.model, v.crf)
        for v in videos_of(cfg, wildcards.target)
    ]


def crops_of_crf(wildcards):
    """The crops of a quality's swaps."""
    videos = videos_of(cfg, f"crf{wildcards.crf}")
    return [
        layout.crops(v.name.clip, v.name.model, v.crf)
        for v in videos
        if v.name.model != REAL
    ]


def scores_files():
    """The scores of every quality."""
    return [layout.attribution(crf) for crf in cfg.qualities]


def evaluation_files():
    """How good the swaps of every pair and model are."""
    return [layout.evaluation(pair, model) for pair in cfg.pairs for model in MODELS]


def minutes(amount):
    """A job's time limit, doubled at each new attempt."""

    def runtime(wildcards, attempt):
        return amount * 2 ** (attempt - 1)

    return runtime


def megabytes(amount):
    """A job's memory, half as much again at each new attempt."""

    def memory(wildcards, attempt):
        return int(amount * (1 + 0.5 * (attempt - 1)))

    return memory
