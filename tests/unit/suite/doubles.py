"""Time and processes that a test moves by hand: no real process, no waiting."""

from __future__ import annotations

from collections.abc import Sequence

from swiftletd.suite.domain.decide import Members
from swiftletd.suite.domain.member import Member, Policy
from swiftletd.suite.supervisor import Supervisor


class FakeProcesses:
    """Starts nothing; remembers what it was asked for. Processes end when the test says so."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.ready: set[str] = set()
        self.missing: set[str] = set()
        self.obedient = True  # a process that is asked to end, ends
        self._pids = iter(range(100, 100_000))
        self._running: set[str] = set()
        self._ended: list[tuple[str, int]] = []

    def launch(self, name: str) -> tuple[int, int]:
        assert name not in self._running, f"{name} was started twice"
        self.calls.append(("launch", name))
        if name in self.missing:
            raise FileNotFoundError(name)
        self._running.add(name)
        pid = next(self._pids)
        return pid, pid * 10

    def is_ready(self, name: str) -> bool:
        return name in self.ready

    def terminate(self, name: str) -> None:
        self.calls.append(("terminate", name))
        if self.obedient:
            self.dies(name, 0)

    def kill(self, name: str) -> None:
        self.calls.append(("kill", name))
        self.dies(name, -9)

    def ended(self) -> list[tuple[str, int]]:
        ended, self._ended = self._ended, []
        return ended

    def dies(self, name: str, code: int = -11) -> None:
        if name in self._running:
            self._running.remove(name)
            self._ended.append((name, code))

    @property
    def running(self) -> set[str]:
        return set(self._running)

    def asked_to(self, what: str) -> list[str]:
        return [name for call, name in self.calls if call == what]


class Scene:
    """A supervisor of `members` in a world that stands still unless `wait` moves it."""

    def __init__(self, members: Sequence[Member], policy: Policy | None = None) -> None:
        self.now = 1_000.0
        self.processes = FakeProcesses()
        self.history: list[tuple[str, str]] = []
        self.supervisor = Supervisor(
            members, self.processes, clock=lambda: self.now, noted=self._note, policy=policy
        )

    def wait(self, seconds: float = 0.0) -> None:
        """Let the supervisor work for so long, at the moments that it asks for."""
        end = self.now + seconds
        while (pause := self.supervisor.step()) <= end - self.now:
            self.now += pause
        self.now = end
        self.supervisor.step()

    def state(self, name: str) -> str:
        return self.supervisor.members[name].state

    def states_of(self, name: str) -> list[str]:
        return [state for one, state in self.history if one == name]

    def _note(self, before: Member, after: Member, members: Members) -> None:
        assert members[after.name] is after
        assert before is not after
        self.history.append((after.name, after.state))
