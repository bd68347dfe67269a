"""The figures of a rehearsal, and the table that compares policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swiftletd.gpu.domain.durations import quantile
from swiftletd.gpu.simulate.engine import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Seconds, but for `utilisation`, which is the part (0..1) of all GPU time that was used.

    `completion_mean` is from submission to end; `left_out` are jobs too large for the cluster.
    """

    jobs: int
    left_out: int
    wait_mean: float
    wait_p50: float
    wait_p95: float
    wait_max: float
    completion_mean: float
    makespan: float
    utilisation: float


def figures(runs: Sequence[Run], gpus: int, submitted: int) -> Figures:
    """Raises ValueError where no job ran."""
    if not runs:
        raise ValueError("no job of the trace fits on so few GPUs")
    waits = sorted(run.started_s - run.job.submit_s for run in runs)
    began = min(run.job.submit_s for run in runs)
    makespan = max(run.ended_s for run in runs) - began
    used = sum((run.ended_s - run.started_s) * len(run.devices) for run in runs)
    return Figures(
        jobs=len(runs),
        left_out=submitted - len(runs),
        wait_mean=sum(waits) / len(waits),
        wait_p50=quantile(waits, 0.5),
        wait_p95=quantile(waits, 0.95),
        wait_max=waits[-1],
        completion_mean=sum(run.ended_s - run.job.submit_s for run in runs) / len(runs),
        makespan=makespan,
        utilisation=used / (gpus * makespan) if makespan else 1.0,
    )


HEADER = (
    "policy",
    "jobs",
    "mean completion s",
    "mean wait s",
    "p50 wait s",
    "p95 wait s",
    "max wait s",
    "makespan s",
    "in use",
)


def line(policy: str, found: Figures) -> tuple[str, ...]:
    """The figures as the cells of one line under HEADER."""
    seconds = (
        found.completion_mean,
        found.wait_mean,
        found.wait_p50,
        found.wait_p95,
        found.wait_max,
        found.makespan,
    )
    return (policy, f"{found.jobs:,}", *(f"{value:,.0f}" for value in seconds), f"{found.utilisation:.1%}")


def table(lines: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table, aligned so that it also reads well on a terminal."""
    rows = [HEADER, *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    rule = tuple("-" * (width - 1) + ":" if column else "-" * width for column, width in enumerate(widths))
    return "\n".join(_row(cells, widths) for cells in (HEADER, rule, *lines))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"
