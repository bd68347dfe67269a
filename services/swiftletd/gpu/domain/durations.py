"""How long a job will run, from the best that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import exp, log
from random import Random

FEWEST_SIMILAR = 3
PROGRESS_SPREAD = 1.25
Z90 = 1.2816


class Source(Enum):
    """Where an estimate comes from, best first."""

    PROGRESS = "progress"
    HISTORY = "history"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds: half of such jobs end within `p50_s`, nine in ten within `p90_s`."""

    p50_s: float
    p90_s: float
    source: Source

    def __post_init__(self) -> None:
        if not 0 <= self.p50_s <= self.p90_s:
            raise ValueError(f"an estimate needs 0 <= p50 <= p90, not {self.p50_s} and {self.p90_s}")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running job reports: `step` of `steps` done, at this many seconds a step."""

    step: int
    steps: int
    seconds_per_step: float


def estimate(
    *,
    progress: Progress | None = None,
    similar_s: Sequence[float] = (),
    elapsed_s: float = 0.0,
    limit_s: float | None = None,
) -> Estimate | None:
    """Seconds that the job will still run, from the best source there is; None if there is none.

    `similar_s` are the lengths in seconds of jobs like it that completed; `elapsed_s` how long it
    runs already. No estimate is longer than what the time limit leaves.
    """
    known = from_progress(progress) or from_history(similar_s, elapsed_s)
    if limit_s is None:
        return known
    left = max(0.0, limit_s - elapsed_s)
    if known is None:
        return Estimate(left, left, Source.LIMIT)
    return Estimate(min(known.p50_s, left), min(known.p90_s, left), known.source)


def from_progress(progress: Progress | None) -> Estimate | None:
    """The steps that are left at the present speed; None before the first step was reported."""
    if progress is None or progress.step < 1 or progress.steps < 1 or progress.seconds_per_step <= 0:
        return None
    left = max(0, progress.steps - progress.step) * progress.seconds_per_step
    return Estimate(left, left * PROGRESS_SPREAD, Source.PROGRESS)


def from_history(similar_s: Sequence[float], elapsed_s: float = 0.0) -> Estimate | None:
    """What those took that took longer than this one has run; None where too few are known."""
    longer = sorted(length for length in similar_s if length > elapsed_s)
    if len(longer) < FEWEST_SIMILAR:
        return None
    p50, p90 = quantile(longer, 0.5), quantile(longer, 0.9)
    return Estimate(p50 - elapsed_s, p90 - elapsed_s, Source.HISTORY)


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` of the ordered values lie, in between where it must be."""
    at = part * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    if at == below or ordered[below] == ordered[above]:
        return ordered[below]
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def draw(p50_s: float, p90_s: float, random: Random) -> float:
    """One possible length: log-normal through the two quantiles."""
    if p50_s <= 0 or p90_s <= p50_s:
        return p50_s
    return p50_s * exp(random.gauss(0.0, 1.0) * log(p90_s / p50_s) / Z90)
