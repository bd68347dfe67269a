"""One channel to the gateway: calls, and streams that go on after a break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from swiftlet._shared import requests
from swiftlet._shared.config import Config
from swiftlet._shared.errors import DeadlineExceeded, ResumeTokenExpired, SwiftletError
from swiftlet._shared.status import to_error
from swiftlet._shared.watches import ItemT, RequestT, ResponseT, Resumption, Watch
from swiftlet.deploy.v1.deploy_service_pb2_grpc import DeployServiceStub
from swiftlet.gpu.v1.gpu_service_pb2_grpc import GpuServiceStub
from swiftlet.training.v1.training_service_pb2_grpc import TrainingServiceStub

CallT = TypeVar("CallT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=Message)


class Connection:
    """The stubs of all services on one channel."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._channel = _open(config)
        self.training = TrainingServiceStub(self._channel)
        self.gpu = GpuServiceStub(self._channel)
        self.deploy = DeployServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    async def call(self, method: grpc.aio.UnaryUnaryMultiCallable[CallT, AnswerT], request: CallT) -> AnswerT:
        """Call a method; raises an error of our tree. Its own retries are of one and the same request."""
        requests.identify(request)
        try:
            return await method(request, timeout=self.config.timeout)
        except grpc.RpcError as error:
            raise to_error(error, self.config.address.target) from error

    async def watch(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT],
        watch: Watch[RequestT, ResponseT, ItemT],
        timeout: float | None = None,
    ) -> AsyncIterator[ItemT]:
        """The items of a stream to its end, over as many connections as it takes.

        Raises an error of our tree; DeadlineExceeded after `timeout` seconds.
        """
        resumption = Resumption(self.config.retry)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            stream = method(watch.request, timeout=_left(deadline))
            try:
                async for message in stream:
                    watch.request.resume_token = message.resume_token
                    resumption.moved()
                    for item in watch.items(message):
                        yield item
                    if watch.last(message):
                        return
                delay = resumption.after_end()
            except grpc.RpcError as error:
                delay = self._after(resumption, watch, to_error(error, self.config.address.target))
            finally:
                stream.cancel()
            await asyncio.sleep(delay)

    @staticmethod
    def _after(
        resumption: Resumption, watch: Watch[RequestT, ResponseT, ItemT], error: SwiftletError
    ) -> float:
        if isinstance(error, ResumeTokenExpired) and watch.snapshots and watch.request.resume_token:
            watch.request.resume_token = ""
            return 0.0
        return resumption.after(error)


def _open(config: Config) -> grpc.aio.Channel:
    options = config.channel_options()
    if config.address.secure:
        return grpc.aio.secure_channel(config.address.target, grpc.ssl_channel_credentials(), options)
    return grpc.aio.insecure_channel(config.address.target, options)


def _left(deadline: float | None) -> float | None:
    """Seconds until the deadline; raises DeadlineExceeded once it has passed."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise DeadlineExceeded("It took longer than the timeout. It goes on: watch again, or wait longer.")
    return left
