"""Commands of many callers in one round trip.

While one pipeline is under way, what else is asked for waits and goes into the next one. So the busier a
process is, the less each command costs it (and Redis): half at four callers, a third at sixteen. A lone
command waits for nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis

MOST = 128  # commands in one pipeline

Command = tuple[Any, ...]
Asked = tuple[Command, asyncio.Future[Any]]


class Together:
    """Sends the commands of concurrent callers together. Order among callers is not promised."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[Asked] = []
        self._sending: asyncio.Task[None] | None = None

    async def execute_command(self, *command: Any) -> Any:
        """The answer to one command. Raises what Redis.execute_command raises."""
        asked: Asked = (command, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await asked[1]

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._send(batch)
        finally:
            self._sending = None
            for _, future in self._waiting:  # only where this task itself was cancelled
                future.cancel()

    async def _send(self, batch: list[Asked]) -> None:
        try:
            answers = await self._answers([command for command, _ in batch])
        except BaseException as error:
            answers = [error] * len(batch)
            if not isinstance(error, Exception):
                raise
        finally:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():  # its caller may have gone
                    _settle(future, answer)

    async def _answers(self, commands: list[Command]) -> list[Any]:
        if len(commands) == 1:
            return [await self._redis.execute_command(*commands[0])]  # type: ignore[no-untyped-call]
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            return answers


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
