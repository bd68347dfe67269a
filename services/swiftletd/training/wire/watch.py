"""The streams of a training job: progress, logs, events.

Each reads from where the thing is kept and is only woken by the event streams, so a slow reader loses
nothing and nothing is sent twice. A token says how far a reader is: it stays true across restarts of
every service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from swiftlet.training.v1 import job_pb2
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftletd.kernel.bus.follower import Follower, Wake
from swiftletd.kernel.errors import NotReady, ResumeTokenExpired
from swiftletd.kernel.redis.keys import RUN_TAIL, TRAINING_EVENTS
from swiftletd.training.domain.job import Job
from swiftletd.training.ports import Line
from swiftletd.training.usecases import Training
from swiftletd.training.wire.convert import to_event, to_line, to_progress

BATCH = 500  # lines in a message
CHECKPOINT_SECONDS = 15.0


def run_of(job: Job) -> str:
    """The run to look at: the latest attempt, or the one to come."""
    return job.entry(job.latest)


class Watches:
    """Makes the streams. `closing` ends them, each with the token to go on from."""

    def __init__(self, training: Training, follower: Follower, closing: asyncio.Event) -> None:
        self._training, self._follower, self._closing = training, follower, closing

    async def progress(self, job_id: str, token: str) -> AsyncIterator[pb.WatchTrainingJobProgressResponse]:
        """The progress now and after each change."""
        last, sent = None, token
        with self._follower.wake((TRAINING_EVENTS, job_id), (RUN_TAIL, job_id)) as wake:
            while True:
                wake.clear()
                job = await self._training.get(job_id)
                message = await self._progress(job)
                told = message.progress.SerializeToString(deterministic=True)
                if (told != last and message.resume_token != sent) or message.done:
                    yield message
                if message.done:
                    return
                last, sent = told, ""
                if not await self._woken(wake, message.resume_token):
                    yield pb.WatchTrainingJobProgressResponse(
                        resume_token=message.resume_token, checkpoint=True
                    )

    async def _progress(self, job: Job) -> pb.WatchTrainingJobProgressResponse:
        progress = await self._training.runs.progress(job.id, run_of(job))
        return pb.WatchTrainingJobProgressResponse(
            progress=to_progress(job, progress),
            resume_token=f"{job.version}-{len(job.attempts)}-{progress.get('seq', 0)}",
            done=job.over,
        )

    async def logs(
        self, job_id: str, token: str, tail: int | None
    ) -> AsyncIterator[pb.WatchTrainingJobLogsResponse]:
        """All lines from the token on, attempt by attempt."""
        job = await self._training.get(job_id)
        number, offset = _parse(token) if token else (job.latest, 0)
        if tail is not None and not token:
            offset = await self._tail_begin(job, number, tail)
        with self._follower.wake((TRAINING_EVENTS, job_id), (RUN_TAIL, job_id)) as wake:
            while True:
                wake.clear()
                job = await self._training.get(job_id)
                page = await self._training.runs.read_log(job_id, job.entry(number), offset, BATCH)
                offset = page.next_offset
                if page.lines:
                    yield _log_message(job_id, number, page.lines, f"{number}:{offset}")
                    continue
                if following := _next_attempt(job, number):
                    number, offset = following, 0
                    continue
                if job.over:
                    yield pb.WatchTrainingJobLogsResponse(resume_token=f"{number}:{offset}", done=True)
                    return
                if not await self._woken(wake, f"{number}:{offset}"):
                    yield pb.WatchTrainingJobLogsResponse(resume_token=f"{number}:{offset}", checkpoint=True)

    async def _tail_begin(self, job: Job, number: int, tail: int) -> int:
        if tail <= 0:
            page = await self._training.runs.last_lines(job.id, job.entry(number), 1)
            return page.next_offset
        page = await self._training.runs.last_lines(job.id, job.entry(number), tail)
        return page.lines[0].offset if page.lines else 0

    async def events(self, job_id: str, token: str) -> AsyncIterator[pb.WatchTrainingJobEventsResponse]:
        """The history from the token on."""
        after = token
        if token and not token.replace("-", "").isdecimal():
            raise ResumeTokenExpired(token)
        with self._follower.wake((TRAINING_EVENTS, job_id)) as wake:
            while True:
                wake.clear()
                job = await self._training.get(job_id)
                items = await self._training.store.history_after(job_id, after, BATCH)
                for item in items:
                    after = item.id
                    yield pb.WatchTrainingJobEventsResponse(event=to_event(job_id, item), resume_token=after)
                if not items and job.over:
                    yield pb.WatchTrainingJobEventsResponse(resume_token=after, done=True)
                    return
                if not items and not await self._woken(wake, after):
                    yield pb.WatchTrainingJobEventsResponse(resume_token=after, checkpoint=True)

    async def _woken(self, wake: Wake, token: str) -> bool:
        woken = await wake.wait(CHECKPOINT_SECONDS, self._closing)
        if self._closing.is_set():
            text = "The training service is stopping. Watch again with the resume token."
            raise NotReady("training", text, {"resume_token": token})
        return woken


def _next_attempt(job: Job, number: int) -> int:
    """The attempt after this one, once this one's log is complete; 0 if there is none."""
    over = any(a.number == number and a.run_over for a in job.attempts)
    later = [a.number for a in job.attempts if a.number > number]
    known = any(a.number == number for a in job.attempts)
    return later[0] if later and (over or not known) else 0


def _log_message(
    job_id: str, number: int, lines: tuple[Line, ...], token: str
) -> pb.WatchTrainingJobLogsResponse:
    logs: list[job_pb2.LogLine] = [to_line(job_id, number, line) for line in lines]
    return pb.WatchTrainingJobLogsResponse(logs=logs, resume_token=token)


def _parse(token: str) -> tuple[int, int]:
    number, _, offset = token.partition(":")
    if number.isdecimal() and offset.isdecimal() and len(token) < 40:
        return int(number), int(offset)
    raise ResumeTokenExpired(token)
