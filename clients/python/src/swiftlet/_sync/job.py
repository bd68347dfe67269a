# Made by make_sync.py from the async client. Change that one.
"""A training job in the hand."""

from __future__ import annotations

import time
from collections.abc import Iterator

from swiftlet._shared import watches
from swiftlet._shared.jobs import OutcomeWait, check_outcome
from swiftlet._shared.logs import Pages
from swiftlet._shared.words import JobStatus, word
from swiftlet._sync.connection import Connection
from swiftlet.gpu.v1 import gpu_service_pb2, queue_pb2
from swiftlet.training.v1 import job_pb2, training_service_pb2


class Job:
    """A training job. `info` is what was last read of it; `refresh()` reads it again."""

    def __init__(
        self,
        connection: Connection,
        info: job_pb2.TrainingJob,
        created: training_service_pb2.CreateTrainingJobResponse | None = None,
    ) -> None:
        self._connection = connection
        self.info = info
        self.created = created

    def __repr__(self) -> str:
        return f"<swiftlet.Job {self.id} {self.status}>"

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    @property
    def status(self) -> JobStatus:
        """Where it stood when it was last read."""
        return JobStatus(word(job_pb2.JobStatus.DESCRIPTOR, self.info.status))

    def refresh(self) -> job_pb2.TrainingJob:
        """Read it again."""
        stub, request = self._connection.training, training_service_pb2.GetTrainingJobRequest(job_id=self.id)
        self.info = self._connection.call(stub.GetTrainingJob, request)
        return self.info

    def progress(self) -> job_pb2.Progress:
        """How far it is now."""
        request = training_service_pb2.GetTrainingJobProgressRequest(job_id=self.id)
        return self._connection.call(self._connection.training.GetTrainingJobProgress, request)

    def watch(self, timeout: float | None = None) -> Iterator[job_pb2.Progress]:
        """How far it is now and after each step that the trainer reports, until it has ended.

        A connection that breaks is made again, and nothing comes twice. Raises DeadlineExceeded after
        `timeout` seconds; the job goes on.
        """
        method = self._connection.training.WatchTrainingJobProgress
        return self._connection.watch(method, watches.progress(self.id), timeout)

    def wait(
        self, timeout: float | None = None, *, exported: bool = True, check: bool = True
    ) -> job_pb2.TrainingJob:
        """Wait until it has ended and, if `exported`, its model is exported too.

        Raises JobFailed if it failed or was cancelled, unless `check` is false, and DeadlineExceeded
        after `timeout` seconds; the job goes on.
        """
        waiting = OutcomeWait(timeout, exported=exported)
        for _ in self.watch(timeout):
            pass
        while True:
            if waiting.over(self.refresh(), self.progress()):
                break
            time.sleep(waiting.pause())
        return check_outcome(self.info, exported=exported) if check else self.info

    def logs(self, *, follow: bool = False, tail: int | None = None) -> Iterator[job_pb2.LogLine]:
        """Its log, oldest line first: the last `tail` lines, or all.

        With `follow` also each new line as it comes, until the job has ended.
        """
        if follow:
            method = self._connection.training.WatchTrainingJobLogs
            return self._connection.watch(method, watches.logs(self.id, tail))
        return self._stored_logs(_whole_log(self.id, tail), tail)

    def search_logs(
        self, text: str = "", *, level: str = "", attempt: int = 0, line: int = 1
    ) -> Iterator[job_pb2.LogLine]:
        """Lines of its log that hold `text`, in any case, from line number `line` on.

        `level`: only those of "info", "warning" or "error". `attempt`: 0 for the latest.
        """
        request = training_service_pb2.ListTrainingJobLogsRequest(
            job_id=self.id, search=text, level=level, attempt=attempt, line=line
        )
        return self._stored_logs(request, None)

    def events(self, *, follow: bool = False, limit: int = 500) -> Iterator[job_pb2.JobEvent]:
        """What happened to it, oldest first: the last `limit` events.

        With `follow` all that happened and what happens, until the job has ended.
        """
        if follow:
            method = self._connection.training.WatchTrainingJobEvents
            return self._connection.watch(method, watches.events(self.id))
        return self._stored_events(limit)

    def queue_item(self) -> queue_pb2.QueueItem:
        """Its place in the queue, why it waits and when it will start; NotFound if it doesn't wait."""
        request = gpu_service_pb2.GetQueueItemRequest(job_id=self.id)
        return self._connection.call(self._connection.gpu.GetQueueItem, request)

    def start(self) -> training_service_pb2.TrainingJobActionResponse:
        """Start it, if it was made with `auto_start=False` or taken out of the queue."""
        request = training_service_pb2.StartTrainingJobRequest(job_id=self.id)
        return self._acted(self._connection.call(self._connection.training.StartTrainingJob, request))

    def stop(self) -> training_service_pb2.TrainingJobActionResponse:
        """Stop it: every process of it is ended, and its GPUs are free for the next."""
        request = training_service_pb2.StopTrainingJobRequest(job_id=self.id)
        return self._acted(self._connection.call(self._connection.training.StopTrainingJob, request))

    def export(self) -> training_service_pb2.TrainingJobActionResponse:
        """Export it again; WrongState unless it is completed."""
        request = training_service_pb2.ExportTrainingJobRequest(job_id=self.id)
        return self._acted(self._connection.call(self._connection.training.ExportTrainingJob, request))

    def delete(self) -> None:
        """Delete it with its logs; a running one is stopped first. What it trained stays in output_dir."""
        request = training_service_pb2.DeleteTrainingJobRequest(job_id=self.id)
        self._connection.call(self._connection.training.DeleteTrainingJob, request)

    def _acted(
        self, done: training_service_pb2.TrainingJobActionResponse
    ) -> training_service_pb2.TrainingJobActionResponse:
        self.info.status = done.status
        return done

    def _stored_logs(
        self, request: training_service_pb2.ListTrainingJobLogsRequest, tail: int | None
    ) -> Iterator[job_pb2.LogLine]:
        pages, more = Pages(request, tail), True
        while more:
            page = self._connection.call(self._connection.training.ListTrainingJobLogs, request)
            yield from page.logs
            more = pages.turn(page)

    def _stored_events(self, limit: int) -> Iterator[job_pb2.JobEvent]:
        request = training_service_pb2.ListTrainingJobEventsRequest(job_id=self.id, limit=limit)
        answer = self._connection.call(self._connection.training.ListTrainingJobEvents, request)
        yield from answer.events


def _whole_log(job_id: str, tail: int | None) -> training_service_pb2.ListTrainingJobLogsRequest:
    offset = 0 if tail is None else None
    return training_service_pb2.ListTrainingJobLogsRequest(job_id=job_id, offset=offset)
