"""suite.json: which processes run for a home. Everybody but the supervisor only reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from swiftletd.runner.processes import boot_id
from swiftletd.suite.domain.member import Member
from swiftletd.suite.domain.states import State
from swiftletd.suite.plan import Plan
from swiftletd.suite.process import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRecord:
    """One member, as it was when the record was written."""

    name: str
    state: State
    pid: int | None
    start_time: int
    since: float
    restarts: int
    ready_kind: str
    listens: str

    @property
    def process(self) -> Process | None:
        """Its process, which may be gone by now."""
        return Process(self.pid, self.start_time) if self.pid else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRecord:
    """One suite: its supervisor and its members."""

    pid: int
    start_time: int
    started_at: float  # Unix seconds
    address: str
    logs: str
    members: tuple[MemberRecord, ...] = ()
    boot_id: str = ""

    @property
    def supervisor(self) -> Process:
        """The process that wrote the record."""
        return Process(self.pid, self.start_time)

    @property
    def processes(self) -> list[Process]:
        """The members' processes, as recorded."""
        return [member.process for member in self.members if member.process]


def member_record(plan: Plan, member: Member) -> MemberRecord:
    """What the record says about a member of this plan."""
    program = next(program for program in plan.programs if program.name == member.name)
    return MemberRecord(
        name=member.name,
        state=member.state,
        pid=member.pid,
        start_time=member.start_time,
        since=member.since,
        restarts=member.restarts,
        ready_kind=program.ready.kind,
        listens=program.listens,
    )


def suite_record(plan: Plan, me: Process, started_at: float, members: Mapping[str, Member]) -> SuiteRecord:
    """What a supervisor writes down."""
    return SuiteRecord(
        pid=me.pid,
        start_time=me.start_time,
        started_at=started_at,
        address=plan.address,
        logs=plan.logs,
        members=tuple(member_record(plan, member) for member in members.values()),
        boot_id=boot_id(),
    )


def write(path: Path, record: SuiteRecord) -> None:
    """Replace the record in one step: a reader sees the old one or the new one."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    draft.replace(path)


def read(path: Path) -> SuiteRecord | None:
    """The record; None where there is none that can be read, or the machine was started since."""
    try:
        record = msgspec.json.decode(path.read_bytes(), type=SuiteRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return record if record.boot_id in ("", boot_id()) else None
