"""From a gRPC error to one of ours: by (domain, reason), and by the status code where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from swiftlet._shared import errors
from swiftlet._shared.errors import Cause, FieldError, SwiftletError

DOMAIN = "swiftlet"

BY_REASON: Mapping[str, type[SwiftletError]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": errors.InvalidArgument,
        "MALFORMED_JSON": errors.InvalidArgument,
        "BAD_PARAMETER": errors.InvalidArgument,
        "BAD_DATA": errors.PathNotUsable,
        "PATH_NOT_USABLE": errors.PathNotUsable,
        "IMPOSSIBLE_REQUEST": errors.ImpossibleRequest,
        "NOT_FOUND": errors.NotFound,
        "WRONG_STATE": errors.WrongState,
        "ALREADY_EXISTS": errors.AlreadyExists,
        "CONFLICT": errors.Conflict,
        "RESUME_TOKEN_EXPIRED": errors.ResumeTokenExpired,
        "WATCHER_TOO_SLOW": errors.WatcherTooSlow,
        "NOT_READY": errors.Unavailable,
        "DEPENDENCY_UNAVAILABLE": errors.Unavailable,
        "STORE_FULL": errors.Unavailable,
        "TRAINER_UNAVAILABLE": errors.Unavailable,
        "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
        "INTERNAL": errors.InternalError,
        "UNSUPPORTED": errors.Unsupported,
        "NO_DISK_SPACE": errors.LimitReached,
        "LIMIT_REACHED": errors.LimitReached,
        "PORT_TAKEN": errors.LimitReached,
    }
)

BY_CODE: Mapping[grpc.StatusCode, type[SwiftletError]] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
        grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
        grpc.StatusCode.NOT_FOUND: errors.NotFound,
        grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
        grpc.StatusCode.FAILED_PRECONDITION: errors.WrongState,
        grpc.StatusCode.ABORTED: errors.Conflict,
        grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitReached,
        grpc.StatusCode.UNIMPLEMENTED: errors.Unsupported,
        grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
        grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
        grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
        grpc.StatusCode.UNAUTHENTICATED: errors.PermissionDenied,
        grpc.StatusCode.INTERNAL: errors.InternalError,
        grpc.StatusCode.UNKNOWN: errors.InternalError,
        grpc.StatusCode.DATA_LOSS: errors.InternalError,
        grpc.StatusCode.CANCELLED: errors.Unavailable,
    }
)

# How gRPC words it when there is no connection at all, or one to something that speaks no gRPC.
_NO_CONNECTION = ("failed to connect", "connection refused", "dns resolution failed", "http1", "no such file")
# How it words a stream that the gateway cut because the service behind it went away.
_CUT = ("rst_stream", "reset", "goaway", "socket closed", "stream removed")


def to_error(rpc_error: grpc.RpcError, address: str) -> SwiftletError:
    """The error of our tree for what a call to `address` raised."""
    code, details = _status(rpc_error)
    cause, domain = _cause(rpc_error, code)
    kind = BY_REASON.get(cause.reason) if domain == DOMAIN else None
    if kind is not None:
        return kind(details, cause)
    if domain != DOMAIN:
        return _transport_error(code, details, address)
    return BY_CODE.get(code, SwiftletError)(details, cause)


def _status(rpc_error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    if not isinstance(rpc_error, grpc.Call | grpc.aio.AioRpcError):
        return grpc.StatusCode.UNKNOWN, str(rpc_error)
    return rpc_error.code(), rpc_error.details() or ""


def _cause(rpc_error: grpc.RpcError, code: grpc.StatusCode) -> tuple[Cause, str]:
    """What the details say, and the domain of the reason; an empty domain if there are none."""
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    has_retry = [_unpack(rpc_error, message) for message in (info, bad, retry)][-1]
    cause = Cause(
        reason=info.reason,
        code=code.name,
        metadata=dict(info.metadata),
        fields=tuple(FieldError(at.field, at.description) for at in bad.field_violations),
        retry_after=retry.retry_delay.ToNanoseconds() / 1e9 if has_retry else None,
    )
    return cause, info.domain


def _unpack(rpc_error: grpc.RpcError, into: Message) -> bool:
    """Fill `into` from the detail of its type; false if there is none."""
    try:
        status = rpc_status.from_call(rpc_error)  # type: ignore[arg-type]  # an AioRpcError has all it asks for
    except (ValueError, AttributeError):
        return False
    return any(detail.Unpack(into) for detail in (status.details if status else ()))


def _transport_error(code: grpc.StatusCode, details: str, address: str) -> SwiftletError:
    """An error that no service of ours wrote: the gateway or gRPC itself did."""
    cause, lower = Cause(code=code.name), details.lower()
    if code is grpc.StatusCode.UNAVAILABLE and any(words in lower for words in _NO_CONNECTION):
        remedy = "Start the suite with `swiftletd up`, or say where it is with SWIFTLET_ADDRESS=host:port."
        return errors.Unreachable(f"Nothing answers at {address}. {remedy}", cause)
    if code in _BROKEN or any(words in lower for words in _CUT):
        again = "The suite is starting, or a part of it is down: try again, or see `swiftlet health`."
        return errors.Unavailable(
            f"The service behind {address} doesn't answer now ({details}). {again}", cause
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded(
            "There was no answer in time: try again, or give a longer timeout.", cause
        )
    return BY_CODE.get(code, SwiftletError)(details or code.name, cause)


_BROKEN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
