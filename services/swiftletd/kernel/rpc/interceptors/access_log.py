"""One line per RPC: method, outcome, milliseconds. Reads that went well are logged at debug level."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import structlog

from swiftletd.kernel.rpc.call import Call, Proceed

log = structlog.get_logger()


async def access_log(call: Call, proceed: Proceed) -> Any:
    """Log the call when it is over."""
    began = time.perf_counter()
    outcome = "CANCELLED"  # what a client that went away leaves behind: grpc has no code for it
    try:
        answer = await proceed(call)
        outcome = "OK"
        return answer
    except asyncio.CancelledError:
        raise
    except BaseException:
        outcome = status_of(call)
        raise
    finally:
        ms = round((time.perf_counter() - began) * 1000, 1)
        write = log.debug if outcome == "OK" else log.info
        write("rpc", method=call.method, outcome=outcome, ms=ms)


def status_of(call: Call) -> str:
    """Name of the status that the error mapping set, after an exception."""
    code: object = call.context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"
