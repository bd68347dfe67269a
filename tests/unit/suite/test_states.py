"""The table of a member's states: each move that it allows, and no other."""

from __future__ import annotations

import itertools

import pytest

from swiftletd.suite.domain.states import TERMINAL, TRANSITIONS, IllegalTransition, State, advance

PAIRS = list(itertools.product(State, State))
ALLOWED = [(one, other) for one, other in PAIRS if other in TRANSITIONS[one]]
FORBIDDEN = [pair for pair in PAIRS if pair not in ALLOWED]


def test_every_state_is_in_the_table():
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize(("current", "to"), ALLOWED)
def test_a_move_that_the_table_allows(current, to):
    assert advance(current, to) is to


@pytest.mark.parametrize(("current", "to"), FORBIDDEN)
def test_a_move_that_the_table_forbids(current, to):
    with pytest.raises(IllegalTransition, match=f"{current} can't become {to}"):
        advance(current, to)


def test_what_ended_stays_ended():
    assert {State.STOPPED, State.GAVE_UP} == TERMINAL


def test_every_state_can_be_reached_from_waiting():
    reached = {State.WAITING}
    while more := {to for state in reached for to in TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(State)
