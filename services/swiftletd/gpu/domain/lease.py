"""A lease: the right of one attempt of one job to use devices, for as long as its runner lives.

```
             runner: first heartbeat            runner, owner: done
  GRANTED ------------------------> ACTIVE -------------------------> RELEASED
     |  \\                            |  \\
     |   `-- reaper: no heartbeat ---|---`------> EXPIRED   (time ran out)
     |                               |
     `------ scheduler, operator ----`----------> REVOKED   (taken away)
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType


class LeaseState(Enum):
    GRANTED = "granted"
    ACTIVE = "active"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Actor(Enum):
    """Who asks for a change.

    RUNNER    the process that holds the lease and keeps it alive.
    OWNER     the service whose job it is (training, deploy).
    REAPER    the sweep of the gpu service over leases that have run out.
    OPERATOR  a person, or the gpu service on behalf of a lost device.
    """

    RUNNER = "runner"
    OWNER = "owner"
    REAPER = "reaper"
    OPERATOR = "operator"


MOVERS: Mapping[tuple[LeaseState, LeaseState], frozenset[Actor]] = MappingProxyType(
    {
        (LeaseState.GRANTED, LeaseState.ACTIVE): frozenset({Actor.RUNNER}),
        (LeaseState.GRANTED, LeaseState.RELEASED): frozenset({Actor.RUNNER, Actor.OWNER}),
        (LeaseState.GRANTED, LeaseState.EXPIRED): frozenset({Actor.REAPER}),
        (LeaseState.GRANTED, LeaseState.REVOKED): frozenset({Actor.OPERATOR}),
        (LeaseState.ACTIVE, LeaseState.RELEASED): frozenset({Actor.RUNNER, Actor.OWNER}),
        (LeaseState.ACTIVE, LeaseState.EXPIRED): frozenset({Actor.REAPER}),
        (LeaseState.ACTIVE, LeaseState.REVOKED): frozenset({Actor.OPERATOR}),
    }
)
TRANSITIONS: Mapping[LeaseState, frozenset[LeaseState]] = MappingProxyType(
    {state: frozenset(to for source, to in MOVERS if source is state) for state in LeaseState}
)
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


@dataclass(frozen=True, slots=True)
class Share:
    """What a lease holds of one device. `memory_mib` is None for the whole device."""

    device: str
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """`token` only ever rises: whoever carries a smaller one than the device has seen is too late.

    Times are seconds since the epoch; before `expires_at` no lease expires, however silent its runner.
    """

    id: str
    entry_id: str
    shares: tuple[Share, ...]
    token: int
    granted_at: float
    expires_at: float
    state: LeaseState = LeaseState.GRANTED
    ended_at: float | None = None

    @property
    def live(self) -> bool:
        return self.state not in TERMINAL


class LeaseError(ValueError):
    """A change of a lease that the table, the mover or the time does not allow."""


def advance(lease: Lease, to: LeaseState, by: Actor, now: float) -> Lease:
    """The lease in its new state. Raises LeaseError where the table forbids the step or the mover.

    A lease expires only when its time has run out, however urgent the reaper.
    """
    movers = MOVERS.get((lease.state, to))
    if movers is None:
        raise LeaseError(f"lease {lease.id} is {lease.state.value} and cannot become {to.value}")
    if by not in movers:
        raise LeaseError(f"a {by.value} may not move lease {lease.id} from {lease.state.value} to {to.value}")
    if to is LeaseState.EXPIRED and now < lease.expires_at:
        raise LeaseError(f"lease {lease.id} is alive for another {lease.expires_at - now:.1f} s")
    return replace(lease, state=to, ended_at=now if to in TERMINAL else None)
