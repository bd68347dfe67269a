"""From our errors to gRPC statuses with google.rpc details: ErrorInfo always, the others where they fit."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from swiftletd.kernel.errors import ServiceError

DOMAIN = "swiftlet"


def to_status(error: ServiceError) -> grpc.Status:
    """The status that a client of any language can read."""
    code: tuple[int, str] = grpc.StatusCode[error.code].value
    status = status_pb2.Status(code=code[0], message=error.message)
    for detail in _details(error):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return rpc_status.to_status(status)


def _details(error: ServiceError) -> list[Message]:
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for v in error.violations:
            bad.field_violations.add(field=v.field, description=v.message, reason=v.reason)
        details.append(bad)
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details
