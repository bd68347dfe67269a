"""No single answer may take for ever: the client's deadline, or ours where it is shorter or there is none."""

from __future__ import annotations

import asyncio
from typing import Any

from swiftletd.kernel.errors import ServiceError
from swiftletd.kernel.rpc.call import Call, Interceptor, Proceed


class DeadlineExceeded(ServiceError):
    """The work wasn't done in time."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


def deadline(cap: float) -> Interceptor:
    """An interceptor that ends single answers after `cap` seconds; streams live as long as they like."""

    async def enforce(call: Call, proceed: Proceed) -> Any:
        if call.streaming:
            return await proceed(call)
        try:
            async with asyncio.timeout(cap):
                return await proceed(call)
        except TimeoutError as error:
            text = f"No answer within {cap:g} s. What was asked for may still happen: read before you repeat."
            raise DeadlineExceeded(text) from error

    return enforce
