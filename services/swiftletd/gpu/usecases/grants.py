"""A scheduling pass: load nothing, decide, commit, tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from swiftletd.gpu.domain.device import Device, DeviceKind
from swiftletd.gpu.domain.lease import Lease, Share
from swiftletd.gpu.domain.plan import Grant, Plan
from swiftletd.gpu.domain.policy import Quota
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.ports import Claim, GrantChange, Granted, Outcome, State
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books

LEASE_TTL_S = 60.0


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass did, as people read it; nothing where it is `unknown`, because it hasn't ended yet."""

    processed: int
    started: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unknown: bool = False

    @property
    def details(self) -> tuple[str, ...]:
        return (*self.started, *self.failed)


class Grants:
    """Grants are correct however many of these run at a time; the store's script sees to it."""

    def __init__(self, books: Books) -> None:
        self._books, self._board = books, books.board

    async def make(self, *, forced: bool = False) -> Passed:
        """One pass. `forced` grants although the processor is stopped."""
        await self._books.settle()
        now = self._books.clock.now()
        plan = schedule(self._board.snapshot(now, forced=forced), self._board.queue, now, self._board.policy)
        self._board.plan = plan
        looked_at = len(self._board.queue)
        changes = self._changes(plan, now, forced=forced)
        outcomes = await self._books.commit(self._books.store.grant, changes)
        return self._passed(looked_at, changes, outcomes)

    def _changes(self, plan: Plan, now: float, *, forced: bool) -> list[GrantChange]:
        devices = {device.uuid: device for device in self._board.devices}
        return [
            self._change(grant, self._board.fence + number, now, devices, forced=forced)
            for number, grant in enumerate(plan.grants, start=1)
        ]

    def _change(
        self, grant: Grant, token: int, now: float, devices: Mapping[str, Device], *, forced: bool
    ) -> GrantChange:
        before = self._board.records[grant.entry_id]
        lease = Lease(
            id=before.id,
            entry_id=before.id,
            shares=grant.shares,
            token=token,
            granted_at=now,
            expires_at=now + LEASE_TTL_S,
        )
        record = replace(before, state=State.GRANTED, version=before.version + 1, lease=lease)
        given = describe([devices[share.device] for share in grant.shares], token)
        claims = tuple(self._claim(share, devices[share.device]) for share in grant.shares)
        notice = notices.granted(record, given, now)
        quota = self._board.policy.quota(record.entry.project) or Quota()
        return GrantChange(record=record, notice=notice, claims=claims, quota=quota, forced=forced)

    def _claim(self, share: Share, device: Device) -> Claim:
        policy = self._board.policy
        room = device.memory_mib - device.foreign_mib - policy.share_reserve_mib
        return Claim(share, room, policy.max_shares)

    def _passed(self, looked_at: int, changes: Sequence[GrantChange], outcomes: Sequence[Outcome]) -> Passed:
        both = list(zip(changes, outcomes, strict=True))
        started = tuple(change.notice.message for change, outcome in both if outcome is Outcome.OK)
        failed = tuple(
            f"{change.record.entry.job_id} was not started: {WHY[outcome]}."
            for change, outcome in both
            if outcome is not Outcome.OK
        )
        return Passed(looked_at, started, failed)


WHY = {
    Outcome.STALE: "it was changed at the same moment",
    Outcome.TAKEN: "another scheduler was faster",
    Outcome.STOPPED: "the queue was stopped at the same moment",
    Outcome.REPEATED: "it has its GPUs already",
}


def describe(devices: Sequence[Device], token: int) -> Granted:
    """What the owner needs to start its process on these devices.

    Children count GPUs by CUDA_DEVICE_ORDER=PCI_BUS_ID as we do, so they get indices; some engines can't read
    uuids. A MIG slice has no index, so it goes by its own uuid. Without a GPU nothing is visible.
    """
    gpus = [device for device in devices if device.kind is not DeviceKind.CPU]
    return Granted(
        token=token,
        devices=tuple(device.uuid for device in devices),
        visible_devices=",".join(_visible(device) for device in gpus),
        gpu_ids=",".join(str(device.index) for device in devices),
        machine=devices[0].machine,
    )


def _visible(device: Device) -> str:
    return device.uuid if device.kind is DeviceKind.MIG else str(device.index)
