"""Each request has an id: the client's, Envoy's, or a new one. It is in every log line and goes back."""

from __future__ import annotations

import secrets
from typing import Any

from structlog.contextvars import bind_contextvars

from swiftletd.kernel.rpc.call import Call, Proceed


async def request_id(call: Call, proceed: Proceed) -> Any:
    """Bind the request id for the time of the call."""
    call.request_id = call.metadata.get("x-request-id", "")[:64] or secrets.token_hex(8)
    bind_contextvars(request_id=call.request_id)  # each call has a task, so a context, of its own
    return await proceed(call)
