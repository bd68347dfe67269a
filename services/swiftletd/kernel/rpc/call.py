"""What wraps every RPC, and the one place that knows how handlers of grpc.aio are wrapped.

An interceptor of ours is a coroutine that gets the call and what comes further inside, for single answers
and streams alike:

    async def interceptor(call, proceed):
        ...                           # before the handler
        answer = await proceed(call)  # None for a stream, which is over then
        ...                           # after it
        return answer
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

import grpc
import grpc.aio

from swiftletd.kernel.rpc.json_body import merge_json_body, refuse_query, takes_body


@dataclass(slots=True)
class Call:
    """One RPC on its way through the interceptors."""

    method: str  # "/swiftlet.gpu.v1.GpuService/ListGpus"
    request: Any
    context: grpc.aio.ServicerContext[Any, Any]
    streaming: bool
    metadata: dict[str, str] = field(default_factory=dict)
    request_id: str = ""


Proceed = Callable[[Call], Awaitable[Any]]


class Interceptor(Protocol):
    """See above."""

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[Any]: ...


class Wrapped:
    """Stands where generated code expects a server, and wraps each handler once, as it is added.

    The first interceptor is the outermost; JSON bodies are read inside all of them but for the `innermost`,
    which sees whole requests, and no streams. Interceptors of grpc itself would make new handlers for each
    call, which takes longer than most of our calls do.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        interceptors: Sequence[Interceptor],
        innermost: Interceptor | None = None,
    ) -> None:
        self._server, self._interceptors, self._innermost = server, tuple(interceptors), innermost

    def add(self, add: Callable[[grpc.aio.Server], None]) -> None:
        """Add a service by its generated function."""
        add(cast("grpc.aio.Server", self))

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Nothing: generated code registers the same handlers by their names."""

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Add the methods of a service."""
        wrapped = {
            name: self._wrap(f"/{service_name}/{name}", handler) for name, handler in method_handlers.items()
        }
        self._server.add_registered_method_handlers(service_name, wrapped)

    def _wrap(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        streaming = handler.response_streaming
        proceed = partial(_stream, handler.unary_stream) if streaming else self._unary(method, handler)
        for interceptor in reversed(self._interceptors):
            proceed = partial(interceptor, proceed=proceed)
        made = grpc.unary_stream_rpc_method_handler if streaming else grpc.unary_unary_rpc_method_handler
        handle: Any = _entrance(method, proceed, streaming=streaming)
        return made(handle, handler.request_deserializer, handler.response_serializer)

    def _unary(self, method: str, handler: Any) -> Proceed:
        proceed: Proceed = partial(_answer, handler.unary_unary)
        if self._innermost:
            proceed = partial(self._innermost, proceed=proceed)
        return partial(_read_body, proceed=proceed) if takes_body(method) else proceed


def _entrance(method: str, proceed: Proceed, *, streaming: bool) -> Any:
    # A coroutine function, not a callable object: grpc.aio takes anything else for a synchronous handler.
    async def enter(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        sent = context.invocation_metadata() or ()
        metadata = {key: value for key, value in sent if isinstance(value, str)}
        return await proceed(Call(method, request, context, streaming, metadata))

    return enter


async def _answer(handle: Any, call: Call) -> Any:
    return await handle(call.request, call.context)


async def _read_body(call: Call, proceed: Proceed) -> Any:
    if path := call.metadata.get("x-envoy-original-path"):
        refuse_query(path)
    merge_json_body(call.request)
    return await proceed(call)


async def _stream(handle: Any, call: Call) -> None:
    async with aclosing(handle(call.request, call.context)) as responses:
        async for response in responses:
            await call.context.write(response)
