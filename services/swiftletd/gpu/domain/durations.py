"""How long a job will run, from the best that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import exp, log
from statistics import NormalDist

FEWEST_SIMILAR = 3
FEWEST_OTHERS = 10
PROGRESS_SPREAD = 1.25
NORMAL = NormalDist()
Z90 = NORMAL.inv_cdf(0.9)


class Source(Enum):
    """What an estimate rests on, best first.

    PROGRESS  what the job itself reports.
    HISTORY   how long similar jobs took.
    OTHERS    how much of their time limits all jobs took.
    LIMIT     its own time limit.
    ASSUMED   nothing: a length is assumed.
    OVERDUE   it should have ended by now, and nobody knows how long it will still take.
    """

    PROGRESS = "progress"
    HISTORY = "history"
    OTHERS = "others"
    LIMIT = "limit"
    ASSUMED = "assumed"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an estimate rests on; for HISTORY and OTHERS with how many `jobs`."""

    source: Source
    jobs: int = 0

    def words(self) -> str:
        return SAYS[self.source].format(self.jobs)


SAYS = {
    Source.PROGRESS: "its own progress",
    Source.HISTORY: "{} similar jobs",
    Source.OTHERS: "{} other jobs and its time limit",
    Source.LIMIT: "its time limit",
    Source.ASSUMED: "a guess",
    Source.OVERDUE: "it is overdue",
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds: half of such jobs end within `p50_s`, nine in ten within `p90_s`; `jobs` as in Grounds."""

    p50_s: float
    p90_s: float
    source: Source
    jobs: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.p50_s <= self.p90_s:
            raise ValueError(f"an estimate needs 0 <= p50 <= p90, not {self.p50_s} and {self.p90_s}")

    @property
    def grounds(self) -> Grounds:
        return Grounds(self.source, self.jobs)

    def within(self, most_s: float) -> Estimate:
        """The same, but never longer than `most_s` seconds."""
        return replace(self, p50_s=min(self.p50_s, most_s), p90_s=min(self.p90_s, most_s))


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
    parts: Sequence[float] = (),
) -> Estimate | None:
    """Seconds that the job will still run, from the best source there is; None if there is none.

    `similar_s` are the lengths in seconds of jobs like it that completed; `elapsed_s` how long it
    runs already; `parts` which parts (0..1) of their time limits all kinds of jobs took. No estimate is
    longer than what the time limit leaves.
    """
    known = from_progress(progress) or from_history(similar_s, elapsed_s)
    if limit_s is None:
        return known
    left = max(0.0, limit_s - elapsed_s)
    known = known or from_others(parts, elapsed_s, limit_s)
    return known.within(left) if known else Estimate(left, left, Source.LIMIT)


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
    return Estimate(p50 - elapsed_s, p90 - elapsed_s, Source.HISTORY, len(longer))


def from_others(parts: Sequence[float], elapsed_s: float, limit_s: float) -> Estimate | None:
    """The part of its limit that others took who got as far; None where too few did.

    Jobs of another kind are no evidence to hold anybody to: the p90 is all that the limit leaves.
    """
    longer = sorted(part * limit_s for part in parts if part * limit_s > elapsed_s)
    if len(longer) < FEWEST_OTHERS:
        return None
    left = limit_s - elapsed_s
    p50 = min(quantile(longer, 0.5) - elapsed_s, left)
    return Estimate(p50, left, Source.OTHERS, len(longer))


def quantile(ordered: Sequence[float], part: float) -> float:
    """The value below which `part` of the ordered values lie, in between where it must be."""
    at = part * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    if at == below or ordered[below] == ordered[above]:
        return ordered[below]
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def draw(p50_s: float, p90_s: float, luck: float) -> float:
    """One possible length: log-normal through the two quantiles; `luck` (0..1, open) is its quantile."""
    if p50_s <= 0 or p90_s <= p50_s:
        return p50_s
    return p50_s * exp(NORMAL.inv_cdf(luck) * log(p90_s / p50_s) / Z90)
