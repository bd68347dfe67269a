"""Counts and durations of RPCs for Prometheus, read at /metrics/<service>."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from swiftletd.kernel.rpc.call import Call, Proceed
from swiftletd.kernel.rpc.interceptors.access_log import status_of

HANDLED = Counter("swiftlet_rpcs_total", "RPCs that ended, by method and status.", ["method", "code"])
SECONDS = Histogram("swiftlet_rpc_seconds", "Seconds that single-answer RPCs took.", ["method"])
WATCHERS = Gauge("swiftlet_watchers", "Streams that are open.", ["method"])

_handled, _seconds = cache(HANDLED.labels), cache(SECONDS.labels)


async def measure(call: Call, proceed: Proceed) -> Any:
    """Count the call and take its time."""
    began, code = time.perf_counter(), "CANCELLED"
    if call.streaming:
        WATCHERS.labels(call.method).inc()
    try:
        answer = await proceed(call)
        code = "OK"
        return answer
    except asyncio.CancelledError:
        raise
    except BaseException:
        code = status_of(call)
        raise
    finally:
        _handled(call.method, code).inc()
        if call.streaming:
            WATCHERS.labels(call.method).dec()
        else:
            _seconds(call.method).observe(time.perf_counter() - began)
