"""The client's own id for a request, by which a repeated one is known."""

from __future__ import annotations

from typing import Any

import grpc.aio

from swiftletd.kernel.errors import invalid

MOST = 128  # characters


def request_id_of(field: str, context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The request_id field, else the Idempotency-Key header, else "". Raises InvalidArgument."""
    if len(field) > MOST:
        raise invalid("request_id", f"is longer than {MOST} characters.")
    if field:
        return field
    for key, value in context.invocation_metadata() or ():
        if key == "idempotency-key" and isinstance(value, str):
            if len(value) > MOST:
                raise invalid("Idempotency-Key", f"is longer than {MOST} characters.")
            return value
    return ""
