"""What happens around every RPC, one file each. `standard` is the order, outermost first."""

from __future__ import annotations

from swiftletd.kernel.rpc.call import Interceptor
from swiftletd.kernel.rpc.interceptors.access_log import access_log
from swiftletd.kernel.rpc.interceptors.deadline import deadline
from swiftletd.kernel.rpc.interceptors.errors import map_errors
from swiftletd.kernel.rpc.interceptors.metrics import measure
from swiftletd.kernel.rpc.interceptors.ready import Gate
from swiftletd.kernel.rpc.interceptors.request_id import request_id

__all__ = ["Gate", "standard"]


def standard(gate: Gate, request_timeout: float) -> list[Interceptor]:
    """The interceptors of every service. Error mapping is inside what reads its outcome."""
    return [request_id, access_log, measure, map_errors, deadline(request_timeout), gate]
