"""What runs, and what ran, as the run directories tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from support.suite import Suite
from swiftletd.runner.processes import is_alive
from swiftletd.runner.rundir import RunDir

TRAINING, DEPLOY = "training", "deploy"


@dataclass
class Ran:
    """One run: an attempt ("1", "2"), or an export made again ("export-2")."""

    kind: str
    owner: str
    label: str
    run: RunDir

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.owner}-{self.label.replace('export-', 'export.')}"

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The steps that had ended when this was first asked."""
        return self.run.steps()

    @property
    def is_attempt(self) -> bool:
        return self.label.isdecimal()

    def step(self, name: str) -> dict[str, Any] | None:
        """A step that ended."""
        return next((step for step in self.steps if step["step"] == name), None)

    @property
    def lost(self) -> bool:
        """Its runner died before it wrote down how the run ended."""
        end = self.run.exit()
        return end is None or bool(end["lost"])

    @property
    def begun_at(self) -> str:
        """When its first process began; empty if none did."""
        first = self.steps[0] if self.steps else self.run.child()
        return str(first["started_at"]) if first else ""

    @property
    def over_at(self) -> str:
        """When its last process had ended; later than everything if that is not written down."""
        end = self.run.exit()
        if self.lost and end:
            return str(end["ended_at"])
        return str(self.steps[-1]["ended_at"]) if self.steps else "9999"

    @cached_property
    def texts(self) -> list[str]:
        """The lines of its log when this was first asked."""
        texts: list[str] = []
        lines, offset = self.run.read_log(0, 1 << 20)
        while lines:
            texts += [line.text for line in lines]
            lines, offset = self.run.read_log(offset, 1 << 20)
        return texts


def all_runs(suite: Suite) -> Iterator[Ran]:
    """Every run that has a directory, by owner and label."""
    home = suite.home / "h" / "runs"
    for path in sorted(home.glob("*/*/*"), key=lambda path: (*path.parts[:-1], _number(path.name))):
        run = RunDir(path)
        if run.has_begun():
            yield Ran(path.parts[-3], path.parts[-2], path.name, run)


def _number(label: str) -> tuple[bool, int]:
    return not label.isdecimal(), int(label.rpartition("-")[2])


def alive(pid: int, start_time: int) -> bool:
    """Whether this very process lives."""
    return bool(pid) and is_alive(pid, start_time)
