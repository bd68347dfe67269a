"""A lone event is read at once, a burst in few readings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from simulation.loop import VirtualLoop
from swiftletd.kernel.bus.pace import Pace


def readings(pauses: Sequence[float]) -> list[float]:
    """When readings begin, in milliseconds; so many seconds after each one, the next is wanted."""

    async def read() -> list[float]:
        loop, pace, began = asyncio.get_running_loop(), Pace(0.005, 0.02), []
        for pause in pauses:
            await pace.wait()
            began.append(round(loop.time() * 1000))
            await asyncio.sleep(pause)
        return began

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: 0.0)) as runner:
        return runner.run(read())


@pytest.mark.parametrize(
    ("pauses", "began"),
    [
        ([0, 0], [0, 5]),  # the first waits for nothing
        ([0, 0, 0, 0, 0, 0], [0, 5, 15, 35, 55, 75]),  # a burst that goes on is read in larger parts
        ([0.003, 0.003], [0, 5]),  # time that has passed is not waited for again
        ([0.03, 0.03, 0.03], [0, 30, 60]),
        (
            [0, 0, 0, 0.05, 0, 0],
            [0, 5, 15, 35, 85, 90],
        ),  # after a burst, the next one begins as the first did
    ],
)
def test_readings(pauses: Sequence[float], began: Sequence[float]):
    assert readings(pauses) == began
