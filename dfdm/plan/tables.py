"""A plan as aligned tables, and as plain values."""

from collections import Counter
from typing import Any

from dfdm.base.text import table
from dfdm.plan.estimate import Cost, Plan

PUBLISHED_GB = {0: 53.7, 10: 24.4, 23: 4.3}  # DFDM's own 6,450 videos


def amount(size: float) -> str:
    """Bytes as a person reads them."""
    unit = next(((f"{size / u:.1f}", n) for u, n in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")) if size >= u), None)
    return " ".join(unit) if unit else f"{size / 1e3:.0f} kB"


def _row(name: str, cost: Cost) -> tuple[str, ...]:
    videos = f"{cost.videos:,}" if cost.videos else ""
    hours = [f"{value:,.2f}" if value < 10 else f"{value:,.0f}" for value in (cost.cpu_hours, cost.gpu_hours)]
    return name, f"{cost.jobs:,}", f"{cost.left:,}", videos, amount(cost.bytes), *hours


def to_text(plan: Plan) -> str:
    """The plan as tables: by stage, by model, by quality, and why there is something to do."""
    head = ("jobs", "to do", "videos", "disk", "CPU h", "or GPU h")
    models = list(dict.fromkeys(model for _, model, _ in plan.parts if model))
    stages = table(("stage", *head), [*(_row(s, plan.total(s)) for s in plan.stages()), _row("total", plan.total())])
    by_model = table(("model", *head), [_row(model, plan.total(model=model)) for model in models])
    rows = []
    for crf in sorted({crf for (_, _, crf), cost in plan.parts.items() if cost.videos and crf is not None}):
        films = Cost()
        for stage in ("render", "encode"):
            films.add(plan.total(stage, crf=crf, swaps=True))
        published = (f"{PUBLISHED_GB[crf]} GB",) if plan.published else ()
        rows.append((f"crf {crf}", f"{films.videos:,}", amount(films.bytes), *published))
    if plan.published:
        size = sum(plan.total(s, swaps=True).bytes for s in ("render", "encode"))
        rows.append(
            ("together", f"{plan.total(swaps=True).videos:,}", amount(size), f"{sum(PUBLISHED_GB.values()):.1f} GB")
        )
    by_crf = table(("swapped videos", "videos", "disk", *(("DFDM's",) if plan.published else ())), rows)
    why = [(reason, _shortly(stages), f"{stages.total():,}") for reason, stages in plan.why.items()]
    reasons = table(("why to do", "stages", "jobs"), why, left=2) if why else "nothing to do"
    made = plan.total().bytes
    notes = [
        f"disk at peak: {amount(plan.peak_bytes)} = made {amount(made)} + training states "
        f"{amount(plan.state_bytes)} (removable when trained) + {amount(plan.scratch_bytes)} a job that writes",
        f"scenes: {plan.known} of {plan.scenes} probed; the others as config cuts them or as assumed",
        "CPU h are core hours of the jobs to do without a GPU; GPU h are their networks' share on a GPU, at "
        "the rate that the table of rates assumes",
        f"rates: {plan.rates}",
    ]
    if plan.unrated:
        notes.append(
            f"without a rate, so without hours: {', '.join(plan.unrated)}; 'dfdm plan --measure' measures them"
        )
    if plan.absent:
        some = ", ".join(plan.absent[:3]) + (", ..." if len(plan.absent) > 3 else "")
        notes.append(f"source files absent: {len(plan.absent):,} ({some}); a run needs them")
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
        "state_bytes": plan.state_bytes,
        "peak_bytes": plan.peak_bytes,
        "scenes": plan.scenes,
        "scenes_known": plan.known,
        "absent": plan.absent,
        "unrated": plan.unrated,
        "rates": plan.rates,
    }
