"""The life of a lease: each step allowed or forbidden, and to whom."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.gpu.domain.lease import (
    MOVERS,
    TERMINAL,
    TRANSITIONS,
    Actor,
    Lease,
    LeaseError,
    LeaseState,
    Share,
    advance,
)

LATE = 100.0


def lease(state=LeaseState.GRANTED, expires_at=50.0):
    shares = (Share("gpu-0"),)
    return Lease(
        id="l", entry_id="e", shares=shares, token=7, granted_at=0.0, expires_at=expires_at, state=state
    )


@pytest.mark.parametrize(("source", "to", "by"), list(product(LeaseState, LeaseState, Actor)))
def test_only_the_table_says_who_may_move_what(source, to, by):
    if by in MOVERS.get((source, to), frozenset()):
        moved = advance(lease(source), to, by, LATE)
        assert moved.state is to
        assert moved.ended_at == (LATE if to in TERMINAL else None)
    else:
        with pytest.raises(LeaseError):
            advance(lease(source), to, by, LATE)


def test_the_table_covers_every_state_and_the_ends_are_final():
    assert set(TRANSITIONS) == set(LeaseState)
    assert {LeaseState.RELEASED, LeaseState.EXPIRED, LeaseState.REVOKED} == TERMINAL
    assert not any(lease(state).live for state in TERMINAL)


def test_every_state_can_be_reached():
    seen, frontier = {LeaseState.GRANTED}, [LeaseState.GRANTED]
    while frontier:
        new = TRANSITIONS[frontier.pop()] - seen
        seen |= new
        frontier += new
    assert seen == set(LeaseState)


def test_a_lease_does_not_expire_before_its_time():
    with pytest.raises(LeaseError, match=r"alive for another 10\.0 s"):
        advance(lease(), LeaseState.EXPIRED, Actor.REAPER, 40.0)
    assert advance(lease(), LeaseState.EXPIRED, Actor.REAPER, 50.0).state is LeaseState.EXPIRED


@given(
    st.lists(st.tuples(st.sampled_from(LeaseState), st.sampled_from(Actor), st.floats(0, 99)), max_size=30)
)
def test_whatever_is_tried_an_end_stays_an_end(steps):
    held, ended = lease(), None
    for to, by, now in steps:
        try:
            held = advance(held, to, by, now)
        except LeaseError:
            continue
        assert ended is None
        ended = held.state if held.state in TERMINAL else None
