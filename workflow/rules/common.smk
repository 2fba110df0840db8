import inspect
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from attribution.run import ALL, Run
from dfdm.base import devices
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, digest
from dfdm.base.machine import memory_mb
from dfdm.base.records import OFF
from dfdm.base.names import ID, REAL, SCENE, SPLIT, parse_clip, people_of, person_of
from dfdm.catalogue import config as dfdm_config
from dfdm.catalogue import keys
from dfdm.catalogue.layout import Layout, originals_of, stage_of, targets, videos_of
from dfdm.catalogue.migrate import check_version
from dfdm.catalogue.parts import (
    check_files,
    check_people,
    check_results,
    check_splits,
)
from dfdm.catalogue.sources import place as source_place
from dfdm.plan.current import install
from dfdm.catalogue.schedule import (
    background_run,
    checked_runs,
    comparison_runs,
    comparison_scores,
    unseen_scores,
    unseen_treated,
    main_runs,
)

try:
    # Of a key that is there twice Snakemake takes the last without a word.
    for path in workflow.configfiles:
        dfdm_config.read(path)
    cfg = dfdm_config.load(dict(config))
    check_version(cfg.results)
    if workflow.is_main_process:  # a submitted job need not read the sources again
        check_results(cfg)
        check_files(cfg, videos=False)  # of absent videos Snakemake itself speaks
        check_splits(cfg)
        check_people(cfg)
except DfdmError as error:
    raise WorkflowError(str(error)) from None

layout = Layout(cfg.results)
MODELS = list(cfg.models)
# The config as the commands read it, with --config's values and every scene of a pattern or table in it, and its order
# kept (the order of the classes counts); named by content, so never changed under a running job.
CONFIG_TEXT = cfg.model_dump_json(indent=1)
CONFIG = f"{cfg.results}/config/{digest(CONFIG_TEXT)[:12]}.json"


def write_config():
    """Write the config where the commands read it, once."""
    if not Path(CONFIG).exists():
        try:
            with atomic(CONFIG) as temporary:
                temporary.write_text(CONFIG_TEXT)
        except OSError as error:
            raise WorkflowError(
                f"results '{cfg.results}': {error.strerror}; free some space or name another place"
            ) from None


# Only a run writes, no dry run and no plan; a job that an engine started has no `onstart` and may see another disk.
onstart:
    write_config()


if not workflow.is_main_process:
    write_config()
# The commands take their config from there, and are found in the environment that runs snakemake where no other
# has them on the PATH. Neither is a param: the place of the config changes no bytes.
# Outputs that a storage carries have no records beside them here: Snakemake's own decide, and no command looks at others.
STORED = workflow.storage_settings.default_storage_provider
install(workflow, cfg.results, stored=bool(STORED))
if STORED and workflow.is_main_process:
    logger.info(
        f"results in the storage {STORED}: .snakemake alone says which are current"
    )
shell.prefix(
    f"set -euo pipefail; export DFDM_CONFIG={quote(CONFIG)} {f'{OFF}=1 ' if STORED else ''}"
    f"DFDM_PROJECT={quote(str(Path(workflow.basedir).parent))} "  # for envs/*.post-deploy.sh
    f"PATH=$PATH:{quote(str(Path(sys.executable).parent))}; "
)

# Whether this process starts the jobs on this machine, rather than give them to an engine (--jobs) or be such a job.
HERE = workflow.is_main_process and workflow.resource_settings.nodes is None
DEVICES = len(devices.usable()) if HERE and cfg.device != "cpu" else 0
# GPUs that a job of torch asks for: as the config says, else one where this machine has any.
GPUS = min(1, DEVICES) if cfg.gpu is None else cfg.gpu
GPUS = 0 if cfg.device == "cpu" else GPUS
FACES_BY_TORCH = cfg.faces.detector == "face_alignment"
# Jobs on this machine together ask for no more memory and GPUs than it has; --resources overrides this.
if HERE:
    for resource, most in (("mem_mb", memory_mb()), ("gpu", DEVICES)):
        if resource not in workflow.global_resources:
            workflow.register_resource(resource, most)


wildcard_constraints:
    scene=rf"{ID}_{SCENE}",
    clip=rf"{ID}(_{ID})?_{SCENE}",
    pair=rf"{ID}_{ID}",
    model="|".join([*MODELS, REAL]),
    crf=r"\d+",
    target="|".join(targets(cfg)),
    classifier="|".join(cfg.classifier_names),
    split=SPLIT,
    treatment="[a-z0-9]+",
    train=rf"\d+|{ALL}",
    seed=r"\d+",


def scene_file(wildcards):
    """A scene's video where config gives its path: other content makes everything after it again."""
    scene = cfg.scene(wildcards.scene)
    return (
        []
        if scene.path is None
        else [local(str(source_place(cfg.sources, scene.path)))]
    )


def scenes_of_pair(wildcards):
    """The tracks of every scene of two people."""
    people = people_of(wildcards.pair)
    return [layout.track(key) for key in cfg.scene_keys if person_of(key) in people]


def start_of(model):
    """The file that a model's trainings start from, where config names one: other content trains again."""

    def start(wildcards):
        file = cfg.settings(model).start_file(model, people_of(wildcards.pair))
        return [str(file)] if file else []

    return start


def scene_of_clip(wildcards):
    """The track of the scene whose frames a clip shows."""
    return layout.track(parse_clip(wildcards.clip).scene_key)


def checkpoint_of_clip(wildcards):
    """The weights that render a clip: of the pair of its two people."""
    pair = "_".join(parse_clip(wildcards.clip).pair)
    return layout.checkpoint(pair, wildcards.model)


# Long lists of inputs are functions, so that a run pays for those of its own target alone.
def files_of(target, *places, real=True):
    """What `places` (methods of layout) say of each encoded video of a target, without the originals if not `real`."""
    return [
        place(v.name.clip, v.name.model, v.crf)
        for v in videos_of(cfg, target)
        if real or v.name.model != REAL
        for place in places
    ]


def dataset_files(target):
    """An input function: videos, sidecars and crops of a target."""
    return lambda wildcards: files_of(
        target, layout.video, layout.sidecar, layout.crops
    )


def crops_of(settings, qualities):
    """The crops that a classifier reads: of the swaps, and of the originals where `real` is a class."""
    return [
        path
        for crf in qualities
        for path in files_of(f"crf{crf}", layout.crops, real=settings.real)
    ]


def regions_of(settings):
    """The regions that a classifier of the background leaves out."""
    return (
        [layout.region(clip.clip) for clip in cfg.clips]
        if settings.region == "background"
        else []
    )


def run_of(wildcards):
    """The training of a classifier that the wildcards name."""
    return Run(
        wildcards.classifier, wildcards.split, wildcards.train, int(wildcards.seed)
    )


def scores_files():
    """The scores of every quality, on videos of the same."""
    return [layout.scores(str(run), run.crf) for run in main_runs(cfg)]


def controls_files():
    """The controls of every classifier and quality that config asks for."""
    return [layout.controls(run.classifier, run.crf) for run in checked_runs(cfg)]


def comparison_files():
    """The classifiers side by side, and on people nobody saw, where config asks for it."""
    return [layout.comparison] * bool(cfg.comparison) + [layout.unseen] * bool(
        cfg.unseen
    )


def masks_files():
    """The masks of every swap, where config asks for them."""
    return [
        place(clip.clip, model)
        for clip in cfg.clips
        for model in MODELS
        for place in (layout.changed, layout.blend)
        if cfg.masks
    ]


def evaluate_files():
    """How good the swaps of every pair and model are."""
    return [layout.evaluate(pair, model) for pair in cfg.pairs for model in MODELS]


def signed(function):
    """Keep a function's signature with it: Snakemake asks for it several times a job, 16,000 jobs at full size."""
    function.__signature__ = inspect.signature(function)
    return function


def minutes(amount):
    """A job's time limit, doubled at each new attempt."""
    return signed(lambda wildcards, attempt: amount * 2 ** (attempt - 1))


def megabytes(amount):
    """A job's memory, half as much again at each new attempt."""
    return signed(lambda wildcards, attempt: int(amount * (1 + 0.5 * (attempt - 1))))


def training_files():
    """The loss log and the preview of every training."""
    return [
        layout.training_file(pair, model, name)
        for pair in cfg.pairs
        for model in MODELS
        for name in ("loss.csv", "preview.png")
    ]
