"""The supervisor: decides, does, notes; again and again until nothing runs any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from swiftletd.suite.domain import member as life
from swiftletd.suite.domain.decide import Action, Members, Step, decide, gave_up, is_over, is_up, next_look
from swiftletd.suite.domain.member import Member, Policy

CHECK_EVERY = 0.03  # seconds between two looks at a member that starts
IDLE = 30.0  # seconds between two looks when all is well; a death wakes the supervisor at once


class Processes(Protocol):
    """The processes of the members, by name."""

    def launch(self, name: str) -> tuple[int, int]:
        """Start it; gives pid and start time. Raises OSError where there is nothing to start."""
        ...

    def is_ready(self, name: str) -> bool:
        """Whether it answers. Never blocks for long."""
        ...

    def terminate(self, name: str) -> None:
        """Ask it to end."""
        ...

    def kill(self, name: str) -> None:
        """End it."""
        ...

    def ended(self) -> list[tuple[str, int]]:
        """Names and exit codes of those that ended since the last call."""
        ...


class Supervisor:
    """Keeps `members` running until it is told to stop, or until one of them gives up.

    `noted` is called with the member before and after each change, and with all members as they are then.
    """

    def __init__(
        self,
        members: Iterable[Member],
        processes: Processes,
        *,
        clock: Callable[[], float],
        noted: Callable[[Member, Member, Members], None],
        policy: Policy | None = None,
    ) -> None:
        self.members = {member.name: member for member in members}
        self._processes = processes
        self._clock = clock
        self._noted = noted
        self._policy = policy or Policy()
        self._stopping = False

    @property
    def is_up(self) -> bool:
        """Whether every member answers."""
        return is_up(self.members)

    @property
    def is_over(self) -> bool:
        """Whether it has nothing left to do."""
        return is_over(self.members)

    @property
    def gave_up(self) -> list[Member]:
        """The members because of which the suite stopped by itself."""
        return gave_up(self.members)

    def stop(self) -> None:
        """From now on, end the members: those first on which no other depends."""
        self._stopping = True

    def kill(self) -> None:
        """End all members at once."""
        self.stop()
        for member in self.members.values():
            if member.pid:
                self._processes.kill(member.name)

    def step(self) -> float:
        """Take note of what happened, do what is due; gives the seconds until it should be called again."""
        before = dict(self.members)
        for name, code in self._processes.ended():
            self._becomes(life.ended(self.members[name], code, self._clock(), self._policy))
        self._stopping = self._stopping or bool(self.gave_up)
        for step in decide(self.members, self._clock(), self._policy, stopping=self._stopping):
            self._do(step)
        if self.members != before:
            return 0.0  # one member's change can make another one's turn
        return next_look(self.members, self._clock(), self._policy, check_every=CHECK_EVERY, idle=IDLE)

    def _do(self, step: Step) -> None:
        match step.action:
            case Action.LAUNCH:
                self._launch(step.name)
            case Action.CHECK:
                if self._processes.is_ready(step.name):
                    self._becomes(life.became_ready(self.members[step.name], self._clock()))
            case Action.STOP:
                self._stop(step.name)
            case Action.KILL:
                self._processes.kill(step.name)

    def _launch(self, name: str) -> None:
        try:
            pid, start_time = self._processes.launch(name)
        except OSError:
            self._becomes(life.could_not_launch(self.members[name], self._clock(), self._policy))
        else:
            self._becomes(life.launched(self.members[name], pid, start_time, self._clock()))

    def _stop(self, name: str) -> None:
        member = life.told_to_stop(self.members[name], self._clock())
        if member.pid:
            self._processes.terminate(name)
        self._becomes(member)

    def _becomes(self, member: Member) -> None:
        before = self.members[member.name]
        self.members[member.name] = member
        self._noted(before, member, self.members)
