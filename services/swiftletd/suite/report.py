"""What people are told about a suite."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from swiftletd.suite.domain.member import Member
from swiftletd.suite.domain.states import State
from swiftletd.suite.logfiles import last_lines
from swiftletd.suite.plan import Plan
from swiftletd.suite.record import MemberRecord, SuiteRecord

LOG_LINES = 15


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as they need to be."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded)


def what_runs(record: SuiteRecord) -> str:
    """The table that `up` prints."""
    rows = [(member.name, str(member.pid or "-"), where(member)) for member in record.members]
    return f"{table(('NAME', 'PID', 'LISTENS ON'), rows)}\n\nSwiftlet is up at {record.address}"


def where(member: MemberRecord) -> str:
    """Where it can be reached, as short as it stays clear."""
    if member.ready_kind == "http":
        return "http://" + urlsplit(member.listens).netloc
    return member.listens.removeprefix("unix:")


def how_it_ended(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is None:
        return "did not start"
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def change(before: Member, after: Member) -> str:
    """One line for the supervisor's log."""
    text = f"{after.name}: {before.state} -> {after.state}"
    if after.state in (State.STARTING, State.STOPPING):
        return f"{text} (pid {after.pid})"
    if before.pid is not None and after.pid is None:
        return f"{text} (pid {before.pid} {how_it_ended(after.exit_code)})"
    return text


def why_it_gave_up(plan: Plan, members: Iterable[Member]) -> str:
    """What failed, with the end of its log."""
    return "\n".join(_failure(plan, member) for member in members)


def _failure(plan: Plan, member: Member) -> str:
    log = plan.log(member.name)
    lines = "\n".join(f"  {line}" for line in last_lines(log, LOG_LINES))
    how = f"{member.name} {how_it_ended(member.exit_code)}, {member.failures} times in a row."
    return f"{how} The end of {log}:\n{lines}"
