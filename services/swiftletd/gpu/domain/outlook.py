"""For every device: who holds it since when, until about when, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from swiftletd.gpu.domain.durations import Grounds
from swiftletd.gpu.domain.forecast import Start
from swiftletd.gpu.domain.horizon import founded_end
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.snapshot import Holding, Snapshot


@dataclass(frozen=True, slots=True)
class Tenure:
    """A job on a device. `until` is None for one without an end; `memory_mib` for the whole device.

    `grounds` is what `until` rests on.
    """

    job_id: str
    lease_id: str
    since: float
    until: float | None
    memory_mib: int | None
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """`next_entry` is expected on the device at `next_at`; empty and None where nobody is."""

    tenures: tuple[Tenure, ...]
    next_entry: str = ""
    next_at: float | None = None


def outlook(
    snapshot: Snapshot, future: Mapping[str, Start], now: float, policy: Policy
) -> dict[str, Outlook]:
    """The outlook of every device by its uuid; `future` is `likely_future` of the same queue."""
    tenures: dict[str, list[Tenure]] = {device.uuid: [] for device in snapshot.devices}
    for holding in snapshot.holdings:
        for share in holding.lease.shares:
            tenures.setdefault(share.device, []).append(_tenure(holding, share.memory_mib, now, policy))
    coming = _next(future)
    return {uuid: Outlook(tuple(held), *coming.get(uuid, ("", None))) for uuid, held in tenures.items()}


def _tenure(holding: Holding, memory_mib: int | None, now: float, policy: Policy) -> Tenure:
    end, why = founded_end(holding, now, policy)
    lease = holding.lease
    return Tenure(holding.job_id, lease.id, lease.granted_at, end if end < inf else None, memory_mib, why)


def _next(future: Mapping[str, Start]) -> dict[str, tuple[str, float]]:
    first: dict[str, tuple[str, float]] = {}
    for entry_id, start in sorted(future.items(), key=lambda item: item[1].at):
        for share in start.shares:
            first.setdefault(share.device, (entry_id, start.at))
    return first
