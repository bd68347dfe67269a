"""Everything that can go wrong, as one tree. Catch as much of it as you want to handle.

SwiftletError
├── InvalidArgument         a field of the request is wrong: see `fields`
│   ├── PathNotUsable       a local model, data set or output path can't be used
│   └── ImpossibleRequest   more is asked for than the machines can ever give
├── NotFound                there is nothing of that id
├── AlreadyExists           the id is taken
├── WrongState              the action doesn't fit the state
├── Conflict                somebody changed it at the same time
├── LimitReached            a limit, the disk or the range of ports is used up
│   └── WatcherTooSlow      a stream was read more slowly than it came
├── ResumeTokenExpired      a stream can't go on from where it ended
├── Unsupported             this version of the suite can't do that
├── Unavailable             try again in a moment: see `retry_after`
│   └── Unreachable         nothing answers at the address
├── DeadlineExceeded        no answer in time
├── PermissionDenied        the caller isn't allowed to do that
├── InternalError           a mistake of the suite: its log has the details
└── WorkFailed              what was waited for has failed
    ├── JobFailed           a training job ended without a trained model: see `job`
    └── DeploymentFailed    a deployment ended before it answered: see `deployment`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swiftlet.deploy.v1.deployment_pb2 import Deployment
from swiftlet.training.v1.job_pb2 import TrainingJob


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is at fault, by its path in the request, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What the server said. `reason` is a code of `swiftlet.error.v1` or empty; `code` the gRPC status."""

    reason: str = ""
    code: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[FieldError, ...] = ()
    retry_after: float | None = None


class SwiftletError(Exception):
    """Something went wrong. The message says what, and what to do about it."""

    # Where users import it from, so that a traceback says swiftlet.NotFound.
    __module__ = "swiftlet"

    def __init_subclass__(cls) -> None:
        cls.__module__ = SwiftletError.__module__

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause or Cause()

    @property
    def reason(self) -> str:
        """Stable code of the error, as `swiftlet.error.v1` lists them; empty if the server gave none."""
        return self.cause.reason

    @property
    def metadata(self) -> Mapping[str, str]:
        """Whatever varies in the message, by name."""
        return self.cause.metadata


class InvalidArgument(SwiftletError):
    """A field of the request is wrong."""

    @property
    def fields(self) -> tuple[FieldError, ...]:
        """Each field that is at fault."""
        return self.cause.fields


class PathNotUsable(InvalidArgument):
    """A local model, data set or output path doesn't exist, can't be read or isn't allowed."""


class ImpossibleRequest(InvalidArgument):
    """More is asked for than the machines can ever give."""


class NotFound(SwiftletError):
    """There is no job, deployment or queue item of that id."""


class AlreadyExists(SwiftletError):
    """The id is taken by another job or deployment."""


class WrongState(SwiftletError):
    """The action doesn't fit the state that the job or deployment is in."""


class Conflict(SwiftletError):
    """Somebody changed it at the same time: read it again and repeat."""


class LimitReached(SwiftletError):
    """A limit of the suite is reached, or the disk or the range of ports is used up."""


class WatcherTooSlow(LimitReached):
    """A stream was read more slowly than messages came."""


class ResumeTokenExpired(SwiftletError):
    """A stream can't go on from where it ended: read the resource, then watch it anew."""


class Unsupported(SwiftletError):
    """The method or the option isn't in this version of the suite."""


class Unavailable(SwiftletError):
    """The service is starting, stopping, or lacks something it needs. Try again in a moment."""

    @property
    def retry_after(self) -> float | None:
        """Seconds after which it is worth trying again; None if the server didn't say."""
        return self.cause.retry_after


class Unreachable(Unavailable):
    """Nothing answers at the address."""


class DeadlineExceeded(SwiftletError):
    """There was no answer in time."""


class PermissionDenied(SwiftletError):
    """The caller isn't allowed to do that."""


class InternalError(SwiftletError):
    """A mistake of the suite. Its log has the details under the request id in `metadata`."""


class WorkFailed(SwiftletError):
    """What was waited for has failed."""


class JobFailed(WorkFailed):
    """A training job ended without a trained model."""

    def __init__(self, message: str, job: TrainingJob) -> None:
        super().__init__(message, Cause(reason=job.failure_reason))
        self.job = job


class DeploymentFailed(WorkFailed):
    """A deployment ended before its model server answered."""

    def __init__(self, message: str, deployment: Deployment) -> None:
        super().__init__(message, Cause(reason=deployment.failure_reason))
        self.deployment = deployment
