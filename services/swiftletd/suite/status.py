"""`swiftletd status`: what runs where, asked now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import psutil

from swiftletd.suite.home import Home
from swiftletd.suite.process import Process
from swiftletd.suite.ready import grpc_serves, http_answers, redis_answers
from swiftletd.suite.record import MemberRecord, SuiteRecord
from swiftletd.suite.report import table, where

MIB = 1024 * 1024
ANSWER_TIMEOUT = 2.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One process. Memory in bytes, its share of shared pages included; uptime in seconds."""

    name: str
    pid: int | None
    state: str
    answers: bool | None  # None: nothing to ask
    uptime: float | None
    memory: int | None
    restarts: int
    listens: str


def lines(home: Home, suite: SuiteRecord) -> list[Line]:
    """The supervisor, its members and the runs of this home."""
    members = [_member(member) for member in suite.members]
    return [_line("suite", suite.supervisor, state="running"), *members, *runs(home)]


def runs(home: Home) -> Iterator[Line]:
    """The runners that are alive, whether a suite runs or not."""
    for path in sorted(home.runs.glob("*/*/*/runner.json")):
        runner = _runner(path)
        if runner is not None and runner.is_alive:
            kind, owner, attempt = path.parent.parts[-3:]
            yield _line(f"{kind}-{owner}-{attempt}", runner, state="running")


def is_well(shown: list[Line]) -> bool:
    """Whether everything that can be asked answers."""
    return all(line.answers is not False for line in shown)


def as_text(home: Home, suite: SuiteRecord | None, shown: list[Line]) -> str:
    """For people."""
    first = f"Swiftlet is up at {suite.address}" if suite else f"Swiftlet does not run (home {home.path})."
    header = ("NAME", "PID", "STATE", "ANSWERS", "UP", "MEMORY", "RESTARTS", "LISTENS ON")
    return f"{first}\n\n{table(header, map(_cells, shown))}" if shown else first


def as_json(suite: SuiteRecord | None, shown: list[Line]) -> str:
    """For programs."""
    facts = {
        "running": suite is not None,
        "address": suite.address if suite else None,
        "processes": [asdict(line) for line in shown],
    }
    return msgspec.json.format(msgspec.json.encode(facts), indent=2).decode()


def _member(member: MemberRecord) -> Line:
    process = member.process
    answers = _asked(member) if process else False
    return _line(member.name, process, member.state, answers, member.restarts, where(member))


def _asked(member: MemberRecord) -> bool:
    ask: dict[str, Callable[[str], bool]] = {
        "redis": redis_answers,
        "http": http_answers,
        "grpc": lambda target: grpc_serves(target, ANSWER_TIMEOUT),
    }
    return ask[member.ready_kind](member.listens)


def _line(
    name: str,
    process: Process | None,
    state: str,
    answers: bool | None = None,
    restarts: int = 0,
    listens: str = "",
) -> Line:
    pid = process.pid if process else None
    uptime, memory = _use(pid) if pid else (None, None)
    return Line(
        name=name,
        pid=pid,
        state=state,
        answers=answers,
        uptime=uptime,
        memory=memory,
        restarts=restarts,
        listens=listens,
    )


def _use(pid: int) -> tuple[float | None, int | None]:
    try:
        process = psutil.Process(pid)
        return time.time() - process.create_time(), process.memory_full_info().pss
    except psutil.Error:
        return None, None


def _runner(path: Path) -> Process | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Process)
    except (OSError, msgspec.DecodeError):
        return None


def _cells(line: Line) -> tuple[str, ...]:
    answers = {True: "yes", False: "NO", None: ""}[line.answers]
    memory = f"{line.memory / MIB:.0f} MiB" if line.memory is not None else "-"
    uptime = _span(line.uptime) if line.uptime is not None else "-"
    return (
        line.name,
        str(line.pid or "-"),
        line.state,
        answers,
        uptime,
        memory,
        str(line.restarts),
        line.listens,
    )


def _span(seconds: float) -> str:
    whole = int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
