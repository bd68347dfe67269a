"""How good the predictions were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """A prediction as it was told, and when the entry did start. Seconds since the epoch."""

    p50: float
    p90: float
    started: float


@dataclass(frozen=True, slots=True)
class Score:
    """Parts (0..1) of the last `starts` that came no later than the p50, the p90 that was told."""

    starts: int
    by_p50: float
    by_p90: float

    @property
    def enough(self) -> bool:
        return self.starts >= ENOUGH

    def sentence(self) -> str:
        if not self.starts:
            return "no predicted start has come yet: nothing can be said of how good predictions are"
        said = f"of the last {self.starts} starts, {self.by_p50:.0%} came by p50 and {self.by_p90:.0%} by p90"
        few = f"; these are too few to judge by, {ENOUGH} would do"
        return said if self.enough else said + few


def score(record: Sequence[Kept], last: int = 100) -> Score:
    """The score of the `last` of the record, which is in the order of the starts."""
    recent = record[-last:]
    if not recent:
        return Score(0, 0.0, 0.0)
    by_p50 = sum(kept.started <= kept.p50 for kept in recent)
    by_p90 = sum(kept.started <= kept.p90 for kept in recent)
    return Score(len(recent), by_p50 / len(recent), by_p90 / len(recent))
