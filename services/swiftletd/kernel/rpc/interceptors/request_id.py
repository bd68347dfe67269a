"""Each request has an id: the client's, Envoy's, or a new one. It is in every log line and goes back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.contextvars import bound_contextvars

from swiftletd.kernel.rpc.call import Call


@asynccontextmanager
async def request_id(call: Call) -> AsyncIterator[None]:
    """Bind the request id for the time of the call."""
    call.request_id = call.metadata.get("x-request-id", "")[:64] or secrets.token_hex(8)
    with bound_contextvars(request_id=call.request_id):
        yield
