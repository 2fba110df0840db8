"""A plan as aligned tables, and as plain values."""

from collections import Counter
from typing import Any

from dfdm.base.text import size_text, table
from dfdm.plan.estimate import Cost, Plan

PUBLISHED_VIDEOS, PUBLISHED_GB = 6450, {0: 53.7, 10: 24.4, 23: 4.3}  # DFDM's own


def _row(name: str, cost: Cost) -> tuple[str, ...]:
    videos = f"{cost.videos:,}" if cost.videos else ""
    hours = [f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in (cost.cpu_hours, cost.gpu_hours)]
    return name, f"{cost.jobs:,}", f"{cost.left:,}", videos, size_text(cost.bytes), *hours


def to_text(plan: Plan) -> str:
    """The plan as tables: by stage, by model, by quality, and why there is something to do."""
    head = ("jobs", "to do", "videos", "disk", "CPU h", "or GPU h")
    models = dict.fromkeys(model for _, model, _ in plan.parts if model)
    names = dict.fromkeys(stage for stage, _, _ in plan.parts)
    stages = table(("stage", *head), [*(_row(s, plan.total(s)) for s in names), _row("total", plan.total())])
    by_model = table(("model", *head), [_row(model, plan.total(model=model)) for model in models])
    films = plan.swaps()
    published = list(films) == list(PUBLISHED_GB) and sum(cost.videos for cost in films.values()) == PUBLISHED_VIDEOS
    rows = [
        (f"crf {crf}", f"{cost.videos:,}", size_text(cost.bytes), f"{PUBLISHED_GB.get(crf)} GB")
        for crf, cost in films.items()
    ]
    if published:
        size, gb = sum(cost.bytes for cost in films.values()), sum(PUBLISHED_GB.values())
        rows.append(("together", f"{PUBLISHED_VIDEOS:,}", size_text(size), f"{gb:.1f} GB"))
    columns = 4 if published else 3
    by_crf = table(("swapped videos", "videos", "disk", "DFDM's")[:columns], [row[:columns] for row in rows])
    why = [(reason, _shortly(stages), f"{stages.total():,}") for reason, stages in plan.why.items()]
    reasons = table(("why to do", "stages", "jobs"), why, left=2) if why else "nothing to do"
    work, made = plan.work, plan.total().bytes
    notes = [
        f"disk at peak: {size_text(plan.peak_bytes)} = made {size_text(made)} + states of finished trainings "
        f"{size_text(plan.kept_bytes)} (none with train.keep_finished: false) + of those that run at once here "
        f"{size_text(plan.running_bytes)} + {size_text(plan.scratch_bytes)} a job that writes",
        f"scenes: {work.sizes.known} of {len(work.cfg.scene_keys)} probed; the others as cut or assumed",
        "CPU h are core hours of the jobs to do without a GPU; GPU h are their networks' share on a GPU, at "
        "the rate that the table of rates assumes",
        f"rates: {plan.rates.source}",
    ]
    if plan.unrated:
        notes.append(
            f"without a rate, so without hours: {', '.join(plan.unrated)}; 'dfdm plan --measure' measures them"
        )
    if work.absent:
        some = ", ".join(work.absent[:3]) + (", ..." if len(work.absent) > 3 else "")
        notes.append(f"source files absent: {len(work.absent):,} ({some}); a run needs them")
    return "\n\n".join([stages, by_model, by_crf, reasons, "\n".join(notes)])


def _shortly(stages: Counter[str]) -> str:
    """Stages with their counts, the largest first, at most four of them."""
    words = [f"{stage} {jobs:,}" for stage, jobs in stages.most_common(4)]
    return ", ".join([*words, *(["..."] if len(stages) > 4 else [])])


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain values."""
    parts = [
        {"stage": stage, "model": model or None, "crf": crf, **vars(cost)}
        for (stage, model, crf), cost in plan.parts.items()
    ]
    return {
        "parts": parts,
        "total": vars(plan.total()),
        "why": plan.why,
        "kept_bytes": plan.kept_bytes,
        "running_bytes": plan.running_bytes,
        "peak_bytes": plan.peak_bytes,
        "scenes": len(plan.work.cfg.scene_keys),
        "scenes_known": plan.work.sizes.known,
        "absent": plan.work.absent,
        "unrated": plan.unrated,
        "rates": plan.rates.source,
    }
