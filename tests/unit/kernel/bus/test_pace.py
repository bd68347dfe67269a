"""A lone event is read at once, a burst in few readings."""

from __future__ import annotations

import asyncio

from swiftletd.kernel.bus.pace import Pace


async def test_readings_begin_apart_and_the_first_waits_for_nothing() -> None:
    loop, pace, calm = asyncio.get_running_loop(), Pace(0.02), 0.02
    before = loop.time()
    first = pace.wait()
    try:
        first.send(None)
    except StopIteration:
        pass
    else:
        raise AssertionError("it waited")

    for _ in range(3):
        await pace.wait()

    assert loop.time() - before >= 3 * calm - 0.005  # timers may be early by their resolution


async def test_time_that_has_passed_is_not_waited_for_again() -> None:
    pace = Pace(0.02)
    await pace.wait()
    await asyncio.sleep(0.03)

    late = pace.wait()
    try:
        late.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")
