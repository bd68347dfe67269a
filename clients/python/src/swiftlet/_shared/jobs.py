"""When a job is really over, and whether it did what it had to."""

from __future__ import annotations

import time
from collections.abc import Callable

from swiftlet._shared.errors import DeadlineExceeded, JobFailed
from swiftlet.training.v1 import job_pb2

_ENDED = frozenset(
    {
        job_pb2.JobStatus.JOB_STATUS_COMPLETED,
        job_pb2.JobStatus.JOB_STATUS_FAILED,
        job_pb2.JobStatus.JOB_STATUS_CANCELLED,
    }
)


class OutcomeWait:
    """Waits for the end of a job that is in its last seconds: when to ask again, and when to stop."""

    def __init__(
        self,
        timeout: float | None,
        *,
        exported: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exported, self._clock = exported, clock
        self._deadline = None if timeout is None else clock() + timeout
        self._pause = 0.1

    def over(self, job: job_pb2.TrainingJob, progress: job_pb2.Progress) -> bool:
        """True once there is nothing left to wait for."""
        if job.status not in _ENDED:
            return False
        trained = job.status == job_pb2.JobStatus.JOB_STATUS_COMPLETED
        exporting = trained and not (job.export_completed or job.export_error or progress.phase == "ended")
        return not (self._exported and exporting)

    def pause(self) -> float:
        """Seconds until the next look, a little longer each time; raises DeadlineExceeded."""
        if self._deadline is not None and self._clock() >= self._deadline:
            raise DeadlineExceeded("The job took longer than the timeout. It goes on: wait again, or longer.")
        self._pause = min(self._pause * 1.5, 1.0)
        return self._pause


def check_outcome(job: job_pb2.TrainingJob, *, exported: bool) -> job_pb2.TrainingJob:
    """The job, if it did all it had to; raises JobFailed else."""
    if job.status == job_pb2.JobStatus.JOB_STATUS_CANCELLED:
        raise JobFailed(f"Job {job.id} was cancelled.", job)
    if job.status != job_pb2.JobStatus.JOB_STATUS_COMPLETED:
        raise JobFailed(f"Job {job.id} failed: {job.error_message or 'see its log.'}", job)
    if exported and job.export_error:
        raise JobFailed(f"Job {job.id} was trained, but its export failed: {job.export_error}", job)
    return job
