"""The streams of a deployment: state and logs. Each reads from where the thing is kept and is only woken by
the event streams, so a slow reader loses nothing and nothing is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from swiftlet.deploy.v1 import deploy_service_pb2 as pb
from swiftletd.deploy.domain.deployment import RESTING, Deployment
from swiftletd.deploy.usecases import Deploying
from swiftletd.deploy.wire.convert import to_deployment, to_line
from swiftletd.kernel.bus.follower import Follower, Wake
from swiftletd.kernel.errors import NotReady, ResumeTokenExpired
from swiftletd.kernel.redis.keys import DEPLOY_EVENTS, RUN_TAIL

BATCH = 500  # lines in a message
CHECKPOINT_SECONDS = 15.0


def run_of(it: Deployment) -> str:
    """The run to look at: the latest attempt, or the one to come."""
    return it.entry(it.attempt.number) if it.attempt else it.entry()


class Watches:
    """Makes the streams. `closing` ends them, each with the token to go on from."""

    def __init__(self, deploying: Deploying, follower: Follower, closing: asyncio.Event) -> None:
        self._deploying, self._follower, self._closing = deploying, follower, closing

    async def state(self, key: str, token: str) -> AsyncIterator[pb.WatchDeploymentResponse]:
        """The deployment now and after each change, until it has ended."""
        sent = token
        with self._follower.wake((DEPLOY_EVENTS, key)) as wake:
            while True:
                wake.clear()
                it = await self._deploying.get(key)
                if str(it.version) != sent or it.over:
                    sent = str(it.version)
                    message = to_deployment(it, self._deploying.servers.log_path(run_of(it)))
                    yield pb.WatchDeploymentResponse(deployment=message, resume_token=sent, done=it.over)
                if it.over:
                    return
                if not await self._woken(wake, sent):
                    yield pb.WatchDeploymentResponse(resume_token=sent, checkpoint=True)

    async def logs(
        self, key: str, token: str, tail: int | None
    ) -> AsyncIterator[pb.WatchDeploymentLogsResponse]:
        """The log of the current model server from the token on, until it has ended."""
        it = await self._deploying.get(key)
        number = it.attempt.number if it.attempt else it.next_attempt
        number, offset = _parse(token) if token else (number, 0)
        if tail is not None and not token:
            offset = await self._deploying.servers.tail(it.entry(number), tail)
        with self._follower.wake((DEPLOY_EVENTS, key), (RUN_TAIL, key)) as wake:
            while True:
                wake.clear()
                it = await self._deploying.get(key)
                lines, offset = await self._deploying.servers.read_log(it.entry(number), offset, BATCH)
                place = f"{number}:{offset}"
                if lines:
                    logs = [to_line(key, line) for line in lines]
                    yield pb.WatchDeploymentLogsResponse(logs=logs, resume_token=place)
                elif it.attempt and it.attempt.number > number:
                    number, offset = it.attempt.number, 0
                elif it.state in RESTING and it.over:
                    yield pb.WatchDeploymentLogsResponse(resume_token=place, done=True)
                    return
                elif not await self._woken(wake, place):
                    yield pb.WatchDeploymentLogsResponse(resume_token=place, checkpoint=True)

    async def _woken(self, wake: Wake, token: str) -> bool:
        woken = await wake.wait(CHECKPOINT_SECONDS, self._closing)
        if self._closing.is_set():
            text = "The deploy service is stopping. Watch again with the resume token."
            raise NotReady("deploy", text, {"resume_token": token})
        return woken


def _parse(token: str) -> tuple[int, int]:
    number, _, offset = token.partition(":")
    if number.isdecimal() and offset.isdecimal() and len(token) < 40:
        return int(number), int(offset)
    raise ResumeTokenExpired(token)
