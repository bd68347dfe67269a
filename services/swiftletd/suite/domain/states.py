"""The life of one member of the suite, as a table.

 waiting ──launched──► starting ──answers──► healthy
                       ▲  │  └─died─┐          │
              launched │  │         ▼          │ died
                       └──┼── backing off ◄────┘
                          └─died again and again─► gave up

When the suite stops: a member with a process goes over stopping to stopped, one without at once.
What was healthy once is worth starting again for ever; what never was is misconfigured, and gives up.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a member is in its life."""

    WAITING = "waiting"  # for those that must be healthy before it
    STARTING = "starting"  # its process runs, but doesn't answer yet
    HEALTHY = "healthy"
    BACKING_OFF = "backing off"  # it died and is started again in a moment
    STOPPING = "stopping"  # it was told to end
    STOPPED = "stopped"
    GAVE_UP = "gave up"


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset({State.STARTING, State.STOPPED}),
    State.STARTING: frozenset({State.HEALTHY, State.BACKING_OFF, State.STOPPING, State.GAVE_UP}),
    State.HEALTHY: frozenset({State.BACKING_OFF, State.STOPPING}),
    State.BACKING_OFF: frozenset({State.STARTING, State.STOPPED}),
    State.STOPPING: frozenset({State.STOPPED}),
    State.STOPPED: frozenset(),
    State.GAVE_UP: frozenset(),
}
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)
RUNNING = frozenset({State.STARTING, State.HEALTHY, State.STOPPING})


class IllegalTransition(Exception):
    """A member can't go from the one state to the other."""


def advance(current: State, to: State) -> State:
    """The state `to`, if the table allows it after `current`; raises IllegalTransition otherwise."""
    if to not in TRANSITIONS[current]:
        raise IllegalTransition(f"a member that is {current} can't become {to}")
    return to
