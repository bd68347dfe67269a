"""What this process knows of the queue, the leases and the devices: a mirror of the store.

Every change is committed to the store first and mirrored then, by version, so a pass reads nothing. What
another process of the service changed is heard of as an event and read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.domain.durations import FEWEST_OTHERS, Estimate, Progress, estimate, from_history, quantile
from swiftletd.gpu.domain.plan import Plan
from swiftletd.gpu.domain.policy import DAY_S, FairShare, Policy
from swiftletd.gpu.domain.predict import Prediction
from swiftletd.gpu.domain.ranking import charge
from swiftletd.gpu.domain.snapshot import Holding, Snapshot, Usage
from swiftletd.gpu.domain.waiting import WaitingQueue
from swiftletd.gpu.ports import Heartbeat, Loaded, Reading, Record, State

ENDED_REMEMBERED = 10_000
LENGTHS_REMEMBERED = 20
PARTS_REMEMBERED = 100
RELEARNED = 1000  # waiting jobs whose estimate follows the history of similar ones, the first in line
NEWS, NEWS_S = 0.1, 1.0  # a change of an estimate by less than this part of it, or these seconds, is none


class Board:
    """Not safe for threads: it belongs to the event loop."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.queue = WaitingQueue(policy)
        self.records: dict[str, Record] = {}
        self.fence = 0
        self.processing = True
        self.reading = Reading(devices=())
        self.devices: tuple[Device, ...] = ()
        self.plan: Plan | None = None
        self.predictions: Mapping[str, Prediction] = {}
        self.untold: dict[str, None] = {}
        self.lasted: dict[str, Sequence[float]] = {}
        self.parts: Sequence[float] = ()
        self._similar: dict[str, dict[str, None]] = {}
        self._holdings: dict[str, Holding] = {}
        self._by_job: dict[str, dict[str, None]] = {}
        self._used: dict[tuple[str, int], float] = {}
        self._ended: OrderedDict[str, int] = OrderedDict()

    def fill(self, loaded: Loaded) -> None:
        """Takes over what the store holds, at the start."""
        self.fence, self.processing = loaded.fence, loaded.processing
        self._used = dict(loaded.used)
        self._learn_parts(loaded.parts)
        for record in loaded.records:
            self.apply(record)

    def apply(self, record: Record) -> bool:
        """Takes over a record; False if this version, or a newer one, is known."""
        known = self.records.get(record.id)
        version = known.version if known else self._ended.get(record.id, 0)
        if record.version <= version:
            return False
        if known:
            self._forget(known)
        if record.state is State.WAITING:
            self._add_waiting(record)
        elif record.live:
            self._add_live(record)
        else:
            self._remember_end(record)
        return True

    def drop(self, id: str) -> None:
        """The store has no such entry."""
        if known := self.records.get(id):
            self._forget(known)
            self._holdings.pop(id, None)

    def version(self, id: str) -> int:
        """The version of an entry as far as it is known; 0 for none."""
        known = self.records.get(id)
        return known.version if known else self._ended.get(id, 0)

    def entries_of(self, job_id: str) -> list[Record]:
        """What waits or runs of a job or deployment."""
        return [self.records[id] for id in self._by_job.get(job_id, ())]

    def live(self) -> list[Record]:
        """All that has a lease."""
        return [self.records[id] for id in self._holdings]

    def heard(self, id: str, heartbeat: Heartbeat, now: float) -> None:
        """A runner said how far it is."""
        record = self.records.get(id)
        if record and record.live:
            self._holdings[id] = self._holding(record, heartbeat, now)

    def snapshot(self, now: float, *, forced: bool = False) -> Snapshot:
        """One consistent view for a pass; `forced` looks as if the processor ran."""
        return Snapshot(
            devices=self.devices,
            holdings=tuple(self._holdings.values()),
            usage=self._usage(now),
            processing=self.processing or forced,
        )

    def waiting_in_order(self, handicaps: Mapping[str, float] | None = None) -> Iterator[Record]:
        """Those that may run, in the order of service; then those that wait for a time; then held ones."""
        served = set()
        for entry in self.queue.in_order(handicaps):
            served.add(entry.id)
            yield self.records[entry.id]
        rest = (self.records[id] for id in self.queue if id not in served)
        yield from sorted(rest, key=_when_not_in_line)

    def use(self, project: str, now: float, gpu_seconds: float) -> None:
        """A lease of a project has ended."""
        day = (project, int(now // DAY_S))
        self._used[day] = self._used.get(day, 0.0) + gpu_seconds

    def learn(self, similarity: str, lasted: float | None, part: float | None) -> None:
        """How long a job took that has ended: in seconds, and as a part of its time limit."""
        if lasted is not None:
            known: Sequence[float] = self.lasted.get(similarity, ())
            self.lasted[similarity] = (lasted, *known)[:LENGTHS_REMEMBERED]
            self._estimate_again(similarity)
        if part is not None:
            self._learn_parts((part, *self.parts)[:PARTS_REMEMBERED])

    def _learn_parts(self, parts: Sequence[float]) -> None:
        self.parts, counted = parts, len(parts) if len(parts) >= FEWEST_OTHERS else 0
        likely = quantile(sorted(parts), 0.5) if counted else 1.0
        self.policy = replace(self.policy, limit_part=likely, limit_jobs=counted)

    def _estimate_again(self, similarity: str) -> None:
        """Those that wait already are as long as those that have ended since."""
        made = from_history(self.lasted[similarity])
        if made is None:
            return
        for id in list(islice(self._similar.get(similarity, ()), RELEARNED)):
            record = self.records[id]
            if _is_news(record.entry.estimate, made):
                self.records[id] = replace(record, entry=replace(record.entry, estimate=made))
                self.queue.replace(self.records[id].entry)

    def _usage(self, now: float) -> dict[str, Usage]:
        share = self.policy.fair_share
        return self._decayed(now, share) if share else {}

    def _decayed(self, now: float, share: FairShare) -> dict[str, Usage]:
        usage: dict[str, Usage] = {}
        for (project, day), seconds in sorted(self._used.items(), key=lambda item: item[0][1]):
            at = min(now, (day + 1) * DAY_S)
            usage[project] = charge(usage.get(project, Usage(0.0, at)), seconds, at, share)
        return usage

    def _add_waiting(self, record: Record) -> None:
        made = from_history(self.lasted.get(record.similarity, ()))
        if made and _is_news(record.entry.estimate, made):
            record = replace(record, entry=replace(record.entry, estimate=made))
        self._index(record)
        self._similar.setdefault(record.similarity, {})[record.id] = None
        self.queue.add(record.entry)
        if not record.told:
            self.untold[record.id] = None

    def _add_live(self, record: Record) -> None:
        assert record.lease
        self._index(record)
        before = self._holdings.get(record.id)
        fresh = self._holding(record, None, record.lease.granted_at)
        self._holdings[record.id] = replace(before, lease=record.lease) if before else fresh
        self.fence = max(self.fence, record.lease.token)

    def _holding(self, record: Record, heartbeat: Heartbeat | None, now: float) -> Holding:
        lease, entry = record.lease, record.entry
        assert lease
        beat = heartbeat or Heartbeat()
        left = estimate(
            progress=Progress(beat.step, beat.total_steps, beat.seconds_per_step),
            similar_s=self.lasted.get(record.similarity, ()),
            elapsed_s=now - lease.granted_at,
            limit_s=entry.request.time_limit_s,
            parts=self.parts,
        )
        return Holding(
            lease=lease,
            job_id=entry.job_id,
            kind=entry.kind,
            project=entry.project,
            ends_p50=now + left.p50_s if left else None,
            ends_p90=now + left.p90_s if left else None,
            grounds=left.grounds if left else None,
        )

    def _index(self, record: Record) -> None:
        self.records[record.id] = record
        self._by_job.setdefault(record.entry.job_id, {})[record.id] = None

    def _forget(self, record: Record) -> None:
        del self.records[record.id]
        siblings = self._by_job[record.entry.job_id]
        del siblings[record.id]
        if not siblings:
            del self._by_job[record.entry.job_id]
        if record.state is State.WAITING:
            self.queue.remove(record.id)
            self.untold.pop(record.id, None)
            alike = self._similar[record.similarity]
            del alike[record.id]
            if not alike:
                del self._similar[record.similarity]

    def _remember_end(self, record: Record) -> None:
        self._holdings.pop(record.id, None)
        self._ended[record.id] = record.version
        self._ended.move_to_end(record.id)
        while len(self._ended) > ENDED_REMEMBERED:
            self._ended.popitem(last=False)


def _is_news(known: Estimate | None, made: Estimate) -> bool:
    """Whether an estimate says something else than the one that is known."""
    if known is None or known.source is not made.source:
        return True
    return any(
        abs(new - old) > max(NEWS * old, NEWS_S)
        for new, old in ((made.p50_s, known.p50_s), (made.p90_s, known.p90_s))
    )


def _when_not_in_line(record: Record) -> tuple[bool, float, float]:
    entry = record.entry
    return entry.held, entry.request.earliest_start, entry.enqueued_at
