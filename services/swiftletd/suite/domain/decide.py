"""What the supervisor does next. Pure: members and time in, steps out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from swiftletd.suite.domain.member import Member, Policy, retry_at
from swiftletd.suite.domain.states import TERMINAL, State

Members = dict[str, Member]


class Action(Enum):
    """What can be done to a member."""

    LAUNCH = auto()
    CHECK = auto()  # whether it answers
    STOP = auto()
    KILL = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to one member."""

    action: Action
    name: str


def decide(members: Members, now: float, policy: Policy, *, stopping: bool) -> list[Step]:
    """The steps that are due now, in the order of `members`; the reverse order where the suite stops."""
    judge = _step_down if stopping else _step_up
    order = reversed(members.values()) if stopping else members.values()
    actions = ((judge(member, members, now, policy), member.name) for member in order)
    return [Step(action, name) for action, name in actions if action is not None]


def next_look(members: Members, now: float, policy: Policy, *, check_every: float, idle: float) -> float:
    """Seconds until something can be due although nothing happened."""
    waits = [_due(member, policy, now + check_every) - now for member in members.values()]
    return max(0.0, min([*waits, idle]))


def is_up(members: Members) -> bool:
    """Whether every member answers."""
    return all(member.state is State.HEALTHY for member in members.values())


def is_over(members: Members) -> bool:
    """Whether nothing of the suite runs or will run."""
    return all(member.state in TERMINAL for member in members.values())


def gave_up(members: Members) -> list[Member]:
    """The members that will not be tried again."""
    return [member for member in members.values() if member.state is State.GAVE_UP]


def _step_up(member: Member, members: Members, now: float, policy: Policy) -> Action | None:
    match member.state:
        case State.WAITING:
            ready = all(members[name].state is State.HEALTHY for name in member.after)
            return Action.LAUNCH if ready else None
        case State.BACKING_OFF:
            return Action.LAUNCH if now >= retry_at(member, policy) else None
        case State.STARTING:
            overdue = not member.proven and now - member.since >= policy.start_timeout
            return Action.KILL if overdue else Action.CHECK
        case _:
            return None


def _step_down(member: Member, members: Members, now: float, policy: Policy) -> Action | None:
    if member.state in TERMINAL:
        return None
    if member.state is State.STOPPING:
        return Action.KILL if now - member.since >= member.grace else None
    needed = any(member.name in other.after and other.state not in TERMINAL for other in members.values())
    return None if needed else Action.STOP


def _due(member: Member, policy: Policy, next_check: float) -> float:
    match member.state:
        case State.STARTING:
            return next_check
        case State.BACKING_OFF:
            return retry_at(member, policy)
        case State.STOPPING:
            return member.since + member.grace
        case _:
            return float("inf")
