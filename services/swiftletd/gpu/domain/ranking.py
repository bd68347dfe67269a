"""Who comes first: every entry has a virtual time of arrival, and the earliest is served first.

A level of priority moves it forward by `age_step_s`, so waiting and priority are one scale and
nobody can be overtaken for ever. The shortest-first orderings move it back by its length.
"""

from __future__ import annotations

from math import inf

from swiftletd.gpu.domain.durations import Grounds, Source
from swiftletd.gpu.domain.entry import Entry, EntryKind
from swiftletd.gpu.domain.policy import FairShare, Ordering, Policy
from swiftletd.gpu.domain.snapshot import Snapshot, Usage

Rank = tuple[float, float, str]


def rank(entry: Entry, policy: Policy) -> Rank:
    """The entry's place among others: smaller first; equal ones by arrival, then by id."""
    head_start = entry.priority * policy.age_step_s
    return entry.enqueued_at - head_start + size(entry, policy), entry.enqueued_at, entry.id


def size(entry: Entry, policy: Policy) -> float:
    """Seconds by which an entry is ranked later because of its own length."""
    if policy.ordering is Ordering.FIFO:
        return 0.0
    length = likely_s(entry, policy.assumed_s)
    service = length * entry.request.gpus if policy.ordering is Ordering.SHORTEST_SERVICE else length
    return min(policy.stretch * service, policy.max_delay_s)


def likely_s(entry: Entry, otherwise: float, limit_part: float = 1.0) -> float:
    """The likely length in seconds: the estimate, else `limit_part` of the time limit, else `otherwise`."""
    limit = entry.request.time_limit_s or inf
    if entry.estimate is not None:
        return min(entry.estimate.p50_s, limit)
    return limit * limit_part if limit < inf else otherwise


def expected_s(entry: Entry, policy: Policy) -> float:
    """How many seconds an entry will likely run; infinite for a deployment without a limit."""
    return likely_s(entry, inf if entry.kind is EntryKind.DEPLOY else policy.assumed_s, policy.limit_part)


def grounds(entry: Entry, policy: Policy) -> Grounds:
    """What `expected_s` rests on."""
    if entry.estimate is not None:
        return entry.estimate.grounds
    if entry.request.time_limit_s is None:
        return Grounds(Source.ASSUMED)
    return Grounds(Source.OTHERS, policy.limit_jobs) if policy.limit_jobs else Grounds(Source.LIMIT)


def longest_s(entry: Entry) -> float:
    """The length in seconds that is hardly ever passed; infinite where nothing is known."""
    limit = entry.request.time_limit_s or inf
    return limit if entry.estimate is None else min(entry.estimate.p90_s, limit)


def end_after(entry: Entry, start: float, policy: Policy) -> float:
    """When an entry that starts at `start` will likely end; a deployment without a limit never does."""
    return start + expected_s(entry, policy)


def charge(usage: Usage, gpu_seconds: float, now: float, share: FairShare) -> Usage:
    """The use of a project after it used `gpu_seconds` more, until now."""
    return Usage(decayed(usage, now, share) + gpu_seconds, now)


def decayed(usage: Usage, now: float, share: FairShare) -> float:
    """GPU-seconds that still count: half after each half-life."""
    return usage.gpu_seconds * float(0.5 ** (max(0.0, now - usage.at) / share.half_life_s))


def handicaps(snapshot: Snapshot, now: float, policy: Policy) -> dict[str, float]:
    """Seconds by which each project is ranked later, for its part of the recent use of all."""
    share = policy.fair_share
    if share is None:
        return {}
    recent = {project: decayed(usage, now, share) for project, usage in snapshot.usage.items()}
    total = sum(recent.values())
    return {project: share.weight_s * used / total for project, used in recent.items() if total > 0}
