"""What happens to a member when something happens to its process. Pure: time is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from swiftletd.suite.domain.states import State, advance


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient the supervisor is. All times in seconds."""

    first_delay: float = 0.1  # before the first restart; doubles with each failure in a row
    longest_delay: float = 30.0
    steady_after: float = 10.0  # healthy for so long, and earlier failures are forgotten
    tries: int = 3  # of a member that never was healthy
    start_timeout: float = 60.0  # for a member that never was healthy to become so


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process of the suite, as the supervisor sees it."""

    name: str
    after: tuple[str, ...] = ()
    grace: float = 10.0  # seconds between SIGTERM and SIGKILL
    state: State = State.WAITING
    since: float = 0.0  # Unix seconds at which it came into this state
    pid: int | None = None
    start_time: int = 0  # clock ticks from /proc: tells a reused pid apart
    starts: int = 0
    failures: int = 0  # in a row
    proven: bool = False  # it was healthy at least once
    exit_code: int | None = None  # of the process that ran last; negative: the signal that ended it

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)


def launched(member: Member, pid: int, start_time: int, now: float) -> Member:
    """Its process runs."""
    return replace(_to(member, State.STARTING, now), pid=pid, start_time=start_time, starts=member.starts + 1)


def became_ready(member: Member, now: float) -> Member:
    """Its process answers."""
    return replace(_to(member, State.HEALTHY, now), proven=True)


def told_to_stop(member: Member, now: float) -> Member:
    """The suite stops; without a process it has stopped at once."""
    return _to(member, State.STOPPED if member.pid is None else State.STOPPING, now)


def ended(member: Member, exit_code: int, now: float, policy: Policy) -> Member:
    """Its process is gone, as it was told or not."""
    gone = replace(member, pid=None, start_time=0, exit_code=exit_code)
    if member.state is State.STOPPING:
        return _to(gone, State.STOPPED, now)
    steady = member.state is State.HEALTHY and now - member.since >= policy.steady_after
    failed = replace(gone, failures=1 if steady else member.failures + 1)
    hopeless = not failed.proven and failed.failures >= policy.tries
    return _to(failed, State.GAVE_UP if hopeless else State.BACKING_OFF, now)


def could_not_launch(member: Member, now: float, policy: Policy) -> Member:
    """There is no process at all: as if it had ended at once."""
    return ended(launched(member, 0, 0, now), 127, now, policy)


def retry_at(member: Member, policy: Policy) -> float:
    """When a member that backs off is started again."""
    delay: float = policy.first_delay * 2 ** min(member.failures - 1, 30)
    return member.since + min(delay, policy.longest_delay)


def _to(member: Member, state: State, now: float) -> Member:
    return replace(member, state=advance(member.state, state), since=now)
