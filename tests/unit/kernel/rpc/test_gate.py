"""The gate before a service: it waits for the recovery and refuses at the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from swiftletd.kernel.errors import NotReady
from swiftletd.kernel.rpc.call import Call
from swiftletd.kernel.rpc.interceptors.ready import Gate

CALL: Any = None  # the gate looks at no call


async def answer(call: Call) -> str:
    return "in"


async def test_a_request_waits_until_the_gate_opens() -> None:
    gate = Gate("training", patience=10)

    async def ask() -> Any:
        return await gate(CALL, answer)

    asked = asyncio.create_task(ask())
    await asyncio.sleep(0)
    assert not asked.done()
    gate.open()
    assert await asked == "in"


async def test_a_gate_that_stays_shut_says_that_the_service_recovers() -> None:
    with pytest.raises(NotReady, match="still recovering"):
        await Gate("training", patience=0)(CALL, answer)


async def test_a_closed_gate_says_that_the_service_is_stopping_and_wakes_the_streams() -> None:
    gate = Gate("training")
    gate.open()
    gate.close()
    assert gate.closing.is_set()
    with pytest.raises(NotReady, match="is stopping"):
        await gate(CALL, answer)
