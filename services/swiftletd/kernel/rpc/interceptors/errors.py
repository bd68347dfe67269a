"""Every exception becomes a status of the catalogue. What we didn't foresee is logged, never sent.

grpc.aio would send the text of an unknown exception to the client, whatever is in it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import structlog

from swiftletd.kernel.errors import NotReady, ServiceError, Unavailable
from swiftletd.kernel.redis.client import RedisConnectionError, RedisError, RedisTimeoutError
from swiftletd.kernel.rpc.call import Call, Proceed
from swiftletd.kernel.rpc.status import to_status

# Not every OSError: a path that a client chose can give one, too.
AWAY = (RedisConnectionError, RedisTimeoutError, ConnectionError, TimeoutError)

log = structlog.get_logger()


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
        case _ if isinstance(error, AWAY):
            log.warning("redis_unreachable", error=str(error))
            return Unavailable("redis")
        case RedisError() if "OOM" in str(error):
            return ServiceError(
                "Redis has no memory left. Nothing was changed; delete old jobs or raise its maxmemory.",
                reason="LIMIT_REACHED",
                metadata={"what": "redis memory"},
            )
        case _:
            log.error("unexpected", exc_info=error)
            return ServiceError(
                f"Something went wrong on our side; the log has it under request id {request_id}.",
                metadata={"request_id": request_id},
            )


async def _abort(call: Call, error: ServiceError) -> None:
    await call.context.abort_with_status(to_status(error))
