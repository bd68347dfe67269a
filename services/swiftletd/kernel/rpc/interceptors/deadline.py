"""No single answer may take for ever: the client's deadline, or ours where it is shorter or there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swiftletd.kernel.errors import ServiceError
from swiftletd.kernel.rpc.call import Call, Interceptor


class DeadlineExceeded(ServiceError):
    """The work wasn't done in time."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


def deadline(cap: float) -> Interceptor:
    """An interceptor that ends single answers after `cap` seconds; streams live as long as they like."""

    @asynccontextmanager
    async def enforce(call: Call) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(None if call.streaming else cap):
                yield
        except TimeoutError as error:
            text = f"No answer within {cap:g} s. What was asked for may still happen: read before you repeat."
            raise DeadlineExceeded(text) from error

    return enforce
