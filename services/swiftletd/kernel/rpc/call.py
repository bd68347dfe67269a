"""What wraps every RPC, and the one place that knows how grpc.aio wants to be wrapped.

An interceptor of ours is a function from a Call to an async context manager that is entered before the
handler and left after it, for single answers and streams alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio


@dataclass(slots=True)
class Call:
    """One RPC on its way through the interceptors."""

    method: str  # "/swiftlet.gpu.v1.GpuService/ListGpus"
    context: grpc.aio.ServicerContext[Any, Any]
    streaming: bool
    metadata: dict[str, str] = field(default_factory=dict)
    request_id: str = ""


Interceptor = Callable[[Call], AbstractAsyncContextManager[None]]


class Chain(grpc.aio.ServerInterceptor):
    """Runs our interceptors around every handler, the first one outermost."""

    def __init__(self, interceptors: Sequence[Interceptor]) -> None:
        self._interceptors = tuple(interceptors)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or _is_infrastructure(handler_call_details.method):
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler_call_details, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler_call_details, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, details: grpc.HandlerCallDetails, handle: Any) -> Any:
        async def call_unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with AsyncExitStack() as stack:
                await self._enter(stack, _call(details, context, streaming=False))
                return await handle(request, context)

        return call_unary

    def _stream(self, details: grpc.HandlerCallDetails, handle: Any) -> Any:
        # An async generator, not a wrapper object: grpc.aio takes anything else for a synchronous handler.
        async def call_stream(
            request: Any, context: grpc.aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[Any]:
            async with AsyncExitStack() as stack:
                await self._enter(stack, _call(details, context, streaming=True))
                async for response in handle(request, context):
                    yield response

        return call_stream

    async def _enter(self, stack: AsyncExitStack, call: Call) -> None:
        for interceptor in self._interceptors:
            await stack.enter_async_context(interceptor(call))


def _call(
    details: grpc.HandlerCallDetails, context: grpc.aio.ServicerContext[Any, Any], *, streaming: bool
) -> Call:
    metadata = {key: value for key, value in details.invocation_metadata if isinstance(value, str)}
    return Call(details.method, context, streaming, metadata)


def _is_infrastructure(method: str) -> bool:
    return method.startswith("/grpc.")  # health and reflection answer for themselves
