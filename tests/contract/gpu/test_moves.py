"""The table of an entry's states, as every store keeps it: each move that it allows, and no other."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from contract.gpu.making import change, end, grant, next_of, waiting, whole
from swiftletd.gpu.domain.lease import Lease
from swiftletd.gpu.ports import LIVE, Outcome, State

ENDED = {State.WITHDRAWN, State.REMOVED, State.RELEASED, State.EXPIRED, State.REVOKED}
# From which states an entry may come, None for one that was never seen, by where it goes.
ALLOWED = {
    State.WAITING: {None, State.WAITING, *ENDED},
    State.WITHDRAWN: {None, State.WAITING},
    State.REMOVED: {None, State.WAITING},
    State.GRANTED: {State.WAITING},
    State.ACTIVE: LIVE,
    State.RELEASED: LIVE,
    State.EXPIRED: LIVE,
    State.REVOKED: LIVE,
}
LEASE = Lease(
    id="training-a-1", entry_id="training-a-1", shares=(whole(),), token=1, granted_at=20.0, expires_at=80.0
)


async def brought_to(store, state):
    """An entry in this state."""
    new = waiting()
    if state is None:
        return replace(new, version=0)
    assert await store.enqueue([change(new)]) == [Outcome.OK]
    if state is State.WAITING:
        return new
    if state in (State.WITHDRAWN, State.REMOVED):
        return await moved(store, new, state)
    granted = grant(new, 1, whole())
    assert await store.grant([granted]) == [Outcome.OK]
    if state is State.GRANTED:
        return granted.record
    return await moved(store, granted.record, state)


async def moved(store, record, to):
    assert await move(store, record, to) is Outcome.OK
    return (await store.fetch([record.id]))[0]


async def move(store, before, to):
    """The outcome of the one operation of the store that leads there."""
    leased = replace(before, lease=before.lease or LEASE)
    match to:
        case State.WAITING if before.state is State.WAITING and before.version:
            (outcome,) = await store.update([change(next_of(before))])
        case State.WAITING:
            again = next_of(before, state=to, source=before.source + 1, lease=None)
            (outcome,) = await store.enqueue([change(again)])
        case State.WITHDRAWN | State.REMOVED:
            (outcome,) = await store.dequeue([change(next_of(before, state=to))])
        case State.GRANTED:
            (outcome,) = await store.grant([grant(before, 2, whole())])
        case State.ACTIVE:
            (outcome,) = await store.activate([change(next_of(leased, state=to))])
        case _:
            (outcome,) = await store.end([end(leased, to)])
    return outcome


@pytest.mark.parametrize(("before", "to"), list(product((None, *State), State)))
async def test_an_entry_moves_exactly_as_the_table_says(store, told, before, to):
    record = await brought_to(store, before)
    events = await told()
    outcome = await move(store, record, to)
    (after,) = await store.fetch([record.id])
    if before in ALLOWED[to]:
        assert (outcome, after.state, after.version) == (Outcome.OK, to, record.version + 1)
        assert await told() == events + 1
    else:
        assert outcome is not Outcome.OK
        assert after == (record if before else None)
        assert await told() == events
