"""When each waiting entry will start, as p50 and p90, out of several possible futures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from math import inf
from random import Random

from swiftletd.gpu.domain.durations import draw, quantile
from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.forecast import Fate, Start, forecast
from swiftletd.gpu.domain.horizon import expected_end
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.ranking import expected_s, handicaps, likely_s, longest_s
from swiftletd.gpu.domain.snapshot import Holding, Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue

UNKNOWN_SPREAD = 2.0


class Basis(Enum):
    """FUTURES: the scheduler was run ahead. WORK_AHEAD: worked out from the work in front of it."""

    FUTURES = "futures"
    WORK_AHEAD = "work_ahead"


@dataclass(frozen=True, slots=True)
class Prediction:
    """Times of start in seconds since the epoch; None where it may never start as things are."""

    p50: float | None
    p90: float | None
    basis: Basis = Basis.FUTURES


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a prediction may cost: passes are about `entries` x `futures` x 2."""

    entries: int = 64
    futures: int = 9
    seed: int = 0


def predict(
    snapshot: Snapshot, queue: WaitingQueue, now: float, policy: Policy, effort: Effort = Effort()
) -> dict[str, Prediction]:
    """A prediction for every entry that may run; those on hold have none.

    The first `effort.entries` are run ahead with the scheduler; those behind them get the time that
    the work in front of them takes. Pure: the same arguments give the same predictions.
    """
    queue.wake(now)
    order = queue.in_order(handicaps(snapshot, now, policy))
    near = [*islice(order, effort.entries), *queue.sleeping(effort.entries)]
    predictions = starts(snapshot, near, now, policy, effort)
    return {**predictions, **_behind(order, near, predictions, snapshot, policy)}


def starts(
    snapshot: Snapshot, entries: Sequence[Entry], now: float, policy: Policy, effort: Effort
) -> dict[str, Prediction]:
    """Predictions for these entries, as if no others waited."""
    if not snapshot.processing:
        return {entry.id: Prediction(None, None) for entry in entries}
    futures = [
        forecast(snapshot, entries, now, policy, chance(now, policy, Dice(effort, number)))
        for number in range(effort.futures)
    ]
    return {entry.id: _prediction(entry.id, futures) for entry in entries}


def likely_future(
    snapshot: Snapshot, queue: WaitingQueue, now: float, policy: Policy, entries: int = 64
) -> dict[str, Start]:
    """The future in which every job takes as long as expected: what comes next on each device."""
    queue.wake(now)
    near = list(islice(queue.in_order(handicaps(snapshot, now, policy)), entries))
    fate = Fate(
        until=lambda holding: expected_end(holding, now, policy),
        length=lambda entry: expected_s(entry, policy),
    )
    return forecast(snapshot, near, now, policy, fate) if snapshot.processing else {}


@dataclass(frozen=True, slots=True)
class Dice:
    """The same job has the same luck in every what-if of one future, so that they can be compared.

    Over all futures each job has every kind of luck once, in an order of its own. So few futures tell as much
    as many would by chance, and a job that waits for one other starts when that one is said to end.
    """

    effort: Effort
    future: int

    def of(self, name: str) -> float:
        count = self.effort.futures
        order = list(range(count))
        Random(f"{self.effort.seed}/{name}").shuffle(order)  # noqa: S311 chance, not a secret
        at = order[self.future] / (count - 1) if count > 1 else 0.5
        return min(max(at, 0.5 / count), 1 - 0.5 / count)


def chance(now: float, policy: Policy, dice: Dice) -> Fate:
    """A fate in which each job's length is drawn between its quantiles."""

    def until(holding: Holding) -> float:
        p50 = expected_end(holding, now, policy) - now
        if p50 == inf:
            return inf
        spread = UNKNOWN_SPREAD if holding.ends_p90 is None else 1.0
        p90 = max(p50 * spread, (holding.ends_p90 or 0.0) - now)
        return now + draw(p50, p90, dice.of(holding.lease.entry_id))

    def length(entry: Entry) -> float:
        p50 = expected_s(entry, policy)
        longest = longest_s(entry)
        p90 = p50 * UNKNOWN_SPREAD if longest == inf else longest
        return p50 if p50 == inf else min(draw(p50, p90, dice.of(entry.id)), _limit(entry))

    return Fate(until, length)


def _limit(entry: Entry) -> float:
    return entry.request.time_limit_s or inf


def _prediction(entry_id: str, futures: Sequence[dict[str, Start]]) -> Prediction:
    times = sorted(future[entry_id].at if entry_id in future else inf for future in futures)
    p50, p90 = quantile(times, 0.5), quantile(times, 0.9)
    return Prediction(p50 if p50 < inf else None, p90 if p90 < inf else None)


def _behind(
    rest: Iterable[Entry],
    near: Sequence[Entry],
    predictions: dict[str, Prediction],
    snapshot: Snapshot,
    policy: Policy,
) -> dict[str, Prediction]:
    """Those further back start when the work in front of them is done on all devices.

    Where none of those in front is known ever to start, neither is anybody behind them.
    """
    known = [(predictions[entry.id], entry) for entry in near if predictions[entry.id].p50 is not None]
    if not known:
        return {entry.id: Prediction(None, None, Basis.WORK_AHEAD) for entry in rest}
    last, before = max(known, key=lambda pair: pair[0].p50 or 0.0)
    p50, p90 = last.p50 or 0.0, last.p90
    found = {}
    for entry in rest:
        likely, longest = _work(before, snapshot, policy)
        p50 += likely
        if p90 is not None:
            p90 += longest
        found[entry.id] = Prediction(p50, p90, Basis.WORK_AHEAD)
        before = entry
    return found


def behind_all(last: Prediction, ahead: int, entry: Entry, snapshot: Snapshot, policy: Policy) -> Prediction:
    """For an entry behind all that were foreseen, `last` of them and `ahead` others as long as itself."""
    if last.p50 is None:
        return Prediction(None, None, Basis.WORK_AHEAD)
    likely, longest = _work(entry, snapshot, policy)
    p90 = None if last.p90 is None else last.p90 + longest * (ahead + 1)
    return Prediction(last.p50 + likely * (ahead + 1), p90, Basis.WORK_AHEAD)


def _work(entry: Entry, snapshot: Snapshot, policy: Policy) -> tuple[float, float]:
    """Seconds for which all devices are busy with an entry: likely, and hardly ever more."""
    share = entry.request.gpus / max(1, len(snapshot.devices))
    likely, longest = likely_s(entry, policy.assumed_s, policy.limit_part), longest_s(entry)
    return share * likely, share * (likely * UNKNOWN_SPREAD if longest == inf else longest)
