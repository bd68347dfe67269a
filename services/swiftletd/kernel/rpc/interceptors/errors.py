"""Every exception becomes a status of the catalogue. What we didn't foresee is logged, never sent.

grpc.aio would send the text of an unknown exception to the client, whatever is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import grpc.aio
import structlog

from swiftletd.kernel.errors import NotReady, ServiceError, StoreFull, Unavailable
from swiftletd.kernel.redis.client import RedisError
from swiftletd.kernel.redis.trouble import Trouble, trouble_of
from swiftletd.kernel.rpc.call import Call, Proceed
from swiftletd.kernel.rpc.status import to_status

log = structlog.get_logger()

_REDIS: Mapping[Trouble, Callable[[], ServiceError]] = MappingProxyType(
    {
        Trouble.AWAY: lambda: Unavailable("redis"),
        Trouble.LOADING: lambda: Unavailable("redis", "Redis is still loading what it has on disk."),
        Trouble.REPLICA: lambda: Unavailable("redis", "Redis takes no changes while another one takes over."),
        Trouble.MEMORY: lambda: StoreFull(
            "memory", "Redis has no memory left: delete ended jobs that nobody needs, or raise its maxmemory."
        ),
        Trouble.DISK: lambda: StoreFull(
            "disk", "Redis can't write to its disk, and takes no changes until it can: free some space there."
        ),
    }
)


async def map_errors(call: Call, proceed: Proceed) -> Any:
    """End the call with the status that fits the exception."""
    try:
        return await proceed(call)
    except (grpc.aio.AbortError, grpc.aio.UsageError):
        raise
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) and task.cancelling():
            raise  # the client went away or its deadline passed
        # Something inside was cancelled. If this escaped, grpc.aio would send nothing at all.
        await _abort(call, NotReady("service", "The service is stopping. Try again in a moment."))
    except GeneratorExit:
        raise
    except Exception as error:  # noqa: BLE001 - the one place where everything must be caught
        await _abort(call, to_service_error(error, call.request_id))


def to_service_error(error: Exception, request_id: str) -> ServiceError:
    """The error that the client may see for any exception."""
    match error:
        case ServiceError():
            return error
        # Not every OSError: a path that a client chose can give one, too.
        case RedisError() | ConnectionError() | TimeoutError() if trouble := trouble_of(error):
            log.warning("redis_trouble", trouble=trouble, error=str(error))
            return _REDIS[trouble]()
        case _:
            log.error("unexpected", exc_info=error)
            return ServiceError(
                f"Something went wrong on our side; the log has it under request id {request_id}.",
                metadata={"request_id": request_id},
            )


async def _abort(call: Call, error: ServiceError) -> None:
    await call.context.abort_with_status(to_status(error))
