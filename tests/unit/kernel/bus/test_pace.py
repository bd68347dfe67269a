"""A lone event is read at once, a burst in few readings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from simulation.loop import VirtualLoop
from swiftletd.kernel.bus.pace import Haste, Pace


def readings(rounds: Sequence[tuple[int, int]]) -> list[int]:
    """When readings begin, if each brings so many entries and is worked on for so long. In milliseconds."""

    async def read() -> list[int]:
        loop, pace, began = asyncio.get_running_loop(), Pace(Haste(0.002, 0.01)), []
        for entries, work in rounds:
            await pace.wait()
            began.append(round(loop.time() * 1000))
            pace.took(entries)
            await asyncio.sleep(work / 1000)
        return began

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        return runner.run(read())


def test_a_reading_may_have_a_pause_of_its_own_that_began_earlier():
    async def read() -> int:
        loop, pace = asyncio.get_running_loop(), Pace(Haste(0.002, 0.01))
        pace.took(3, Haste(0.005, 0.02), ago=0.004)
        await pace.wait()
        return round(loop.time() * 1000)

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        assert runner.run(read()) == 11


@pytest.mark.parametrize(
    ("rounds", "began"),
    [
        ([(0, 0), (0, 0)], [0, 0]),  # nothing came: nothing to wait for
        ([(1, 0), (1, 0)], [0, 2]),
        ([(3, 0), (1, 0), (1, 0)], [0, 6, 8]),
        ([(500, 0), (1, 0)], [0, 10]),  # but never long
        ([(3, 5), (1, 0)], [0, 6]),  # work counts
        ([(3, 7), (1, 0)], [0, 7]),
    ],
)
def test_readings(rounds: Sequence[tuple[int, int]], began: Sequence[int]):
    assert readings(rounds) == began
