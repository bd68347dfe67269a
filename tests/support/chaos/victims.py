"""Whom a fault can hit: the parts of the suite, runners, and the processes that runners started."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from support.chaos.runs import DEPLOY, Ran, alive, all_runs
from support.suite import Suite

PARTS = ("gpu", "training", "deploy", "envoy", "redis")
SUPERVISOR = "supervisor"
RUNNER, CHILD, SERVER_RUNNER, SERVER = "runner", "child", "runner of a server", "model server"
OF_RUNS = (RUNNER, CHILD, SERVER_RUNNER, SERVER)


@dataclass(frozen=True)
class Victim:
    """One process, and the run that it belongs to, if any."""

    pid: int
    start_time: int
    run: Ran | None = None

    def __str__(self) -> str:
        return f"{self.pid} {self.run.name if self.run else ''}"

    @property
    def is_alive(self) -> bool:
        return alive(self.pid, self.start_time)


class Victims:
    """Finds them. Runs of `spared` owners are left in peace."""

    def __init__(self, suite: Suite, chance: random.Random) -> None:
        self._suite, self._chance = suite, chance
        self.spared: set[str] = set()

    def find(self, what: str) -> Victim | None:
        """One of this kind that lives now."""
        found = self._of_runs(what) if what in OF_RUNS else self._part(what)
        return found if found and found.is_alive else None

    def _part(self, name: str) -> Victim | None:
        suite = json.loads((self._suite.home / "h" / "run" / "suite.json").read_text())
        listed = suite if name == SUPERVISOR else next(m for m in suite["members"] if m["name"] == name)
        return Victim(listed["pid"] or 0, listed["start_time"])

    def _of_runs(self, what: str) -> Victim | None:
        servers = what in {SERVER, SERVER_RUNNER}
        open_ones = (run for run in all_runs(self._suite) if run.run.exit() is None)
        living = [r for r in open_ones if (r.kind == DEPLOY) is servers and r.owner not in self.spared]
        self._chance.shuffle(living)
        for run in living:
            record = run.run.runner() if what in {RUNNER, SERVER_RUNNER} else run.run.child()
            if record and alive(record["pid"], record["start_time"]):
                return Victim(record["pid"], record["start_time"], run)
        return None
