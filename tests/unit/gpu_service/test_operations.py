"""Every operation on an entry in every state: one event, or a refusal and nothing."""

from __future__ import annotations

import pytest

from swiftletd.kernel.errors import NotFound
from unit.gpu_service.service import State


async def waits(service):
    await service.submit("blocker", "a")
    await service.step()


async def sleeps(service):
    await service.submit("a", earliest_start=service.clock.at + 3600)
    await service.step()


async def is_held(service):
    await waits(service)
    await service.desk.hold("a")


async def is_granted(service):
    await service.submit("a")
    await service.step()


async def is_active(service):
    await is_granted(service)
    await service.leases.begun("training-a-1")


async def is_released(service):
    await is_active(service)
    await service.finish("a")


async def is_expired(service):
    await is_granted(service)
    service.clock.at += 100
    await service.leases.expire(service.board.records["training-a-1"])


async def is_removed(service):
    await waits(service)
    await service.desk.remove("a")


async def is_withdrawn(service):
    await waits(service)
    await service.intake.withdraw("training-a-1", "a", 2)


async def was_never_seen(service):
    pass


IN_THE_QUEUE = (waits, sleeps, is_held)
ELSEWHERE = (is_granted, is_active, is_released, is_expired, is_removed, is_withdrawn, was_never_seen)
OPERATIONS = {
    "move": lambda desk: desk.move("a", 7),
    "hold": lambda desk: desk.hold("a"),
    "release": lambda desk: desk.release("a"),
    "remove": lambda desk: desk.remove("a"),
}
EVENTS = {
    "move": "gpu.entry.moved",
    "hold": "gpu.entry.held",
    "release": "gpu.entry.released",
    "remove": "gpu.entry.removed",
}
NOTHING_TO_DO = {("hold", is_held), ("release", waits), ("release", sleeps)}


def name(value):
    return value if isinstance(value, str) else value.__name__


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("state", IN_THE_QUEUE, ids=name)
async def test_on_what_waits_it_is_one_event_and_one_version(one, state, operation):
    await state(one)
    before, told = one.store.records["training-a-1"], len(one.store.notices)
    await OPERATIONS[operation](one.desk)
    after, news = one.store.records["training-a-1"], one.store.notices[told:]
    if (operation, state) in NOTHING_TO_DO:
        assert (after, news) == (before, [])
        return
    assert [(notice.type, notice.version) for notice in news] == [(EVENTS[operation], before.version + 1)]
    assert after.version == before.version + 1
    assert after.entry.enqueued_at == before.entry.enqueued_at


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("state", ELSEWHERE, ids=name)
async def test_on_what_does_not_wait_it_is_refused_and_nothing_happens(one, state, operation):
    await state(one)
    before, told = dict(one.store.records), len(one.store.notices)
    with pytest.raises(NotFound, match="a is not in the queue"):
        await OPERATIONS[operation](one.desk)
    assert (one.store.records, len(one.store.notices)) == (before, told)


@pytest.mark.parametrize("state", [is_released, is_removed, is_withdrawn, is_expired], ids=name)
async def test_what_has_ended_can_be_queued_again_and_only_by_a_newer_version(one, state):
    await state(one)
    await one.submit("a", version=1)
    assert one.state("a") is not State.WAITING
    await one.submit("a", version=9)
    assert one.state("a") is State.WAITING
    await OPERATIONS["move"](one.desk)
    assert one.board.records["training-a-1"].entry.priority == 7
