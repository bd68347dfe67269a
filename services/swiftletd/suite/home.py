"""The directory of a suite: who may see it, whose it is at the moment, what a dead suite left in it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from swiftletd.suite import record
from swiftletd.suite.process import Process, end_all, listener
from swiftletd.suite.record import SuiteRecord

LEFTOVER_GRACE = 10.0  # seconds that a process of a dead suite gets to end


class HomeError(Exception):
    """The home can't be used; the message names the variable at fault."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths in `$SWIFTLET_HOME`, which is absolute."""

    path: Path

    @property
    def run(self) -> Path:
        """Sockets, records, the generated gateway configuration."""
        return self.path / "run"

    @property
    def redis(self) -> Path:
        """The append-only file of the embedded Redis."""
        return self.path / "redis"

    @property
    def runs(self) -> Path:
        """One directory for each run."""
        return self.path / "runs"

    @property
    def record(self) -> Path:
        """What runs where."""
        return self.run / "suite.json"

    @property
    def gateway(self) -> Path:
        """The generated configuration of Envoy."""
        return self.run / "gateway"

    @property
    def plan(self) -> Path:
        """What the supervisor was told to run."""
        return self.run / "plan.json"

    def make(self) -> None:
        """Create what is missing; nobody else may look into it."""
        try:
            for directory in (self.path, self.run, self.redis, self.runs):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise HomeError(f"SWIFTLET_HOME: {self.path} can't be used: {error.strerror}.") from error

    def lock(self) -> int | None:
        """Make the home ours until the returned descriptor is closed; None where it is somebody else's."""
        handle = os.open(self.run / "suite.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def suite(self) -> SuiteRecord | None:
        """What the last supervisor wrote down, if it is alive."""
        found = record.read(self.record)
        return found if found and found.supervisor.is_alive else None

    def end_leftovers(self) -> list[Process]:
        """End the members of a suite whose supervisor was killed. Only for the holder of the lock.

        Runs are no members: they go on. The listeners are for a supervisor that was killed between
        starting a process and writing it down.
        """
        last = record.read(self.record)
        known = set(last.processes if last else [])
        listening = {process for path in self.run.rglob("*.sock") if (process := listener(path))}
        left = [process for process in known | listening if process.is_alive]
        end_all(left, LEFTOVER_GRACE)
        self.record.unlink(missing_ok=True)
        return left
