"""The errors that services raise. One place (rpc/status.py) turns them into gRPC statuses.

`code` is the name of a gRPC status, `reason` a word of swiftlet.error.v1.Reason without its prefix.

ServiceError
├── InvalidArgument     INVALID_ARGUMENT     one violation for each field at fault
├── MalformedJson       INVALID_ARGUMENT
├── NotFound            NOT_FOUND
├── WrongState          FAILED_PRECONDITION
├── Unsupported         FAILED_PRECONDITION
├── ResumeTokenExpired  OUT_OF_RANGE
├── AlreadyExists       ALREADY_EXISTS
├── Conflict            ABORTED
├── LimitReached        RESOURCE_EXHAUSTED
├── WatcherTooSlow      RESOURCE_EXHAUSTED
├── NotReady            UNAVAILABLE          with the seconds to wait
├── Unavailable         UNAVAILABLE          with the seconds to wait
└── StoreFull           UNAVAILABLE          likewise
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field of a request, and what to do about it."""

    field: str
    message: str
    reason: str = "INVALID_ARGUMENT"
    details: Mapping[str, str] = default(default_factory=dict)


class ServiceError(Exception):
    """A refusal that the client is told about."""

    code = "INTERNAL"
    reason = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after


class InvalidArgument(ServiceError):
    """Fields of the request are at fault."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: Sequence[Violation], message: str | None = None) -> None:
        first = violations[0]
        text = message or sentence("; ".join(f"{v.field}: {v.message.rstrip('.')}" for v in violations))
        metadata = {"field": first.field, **first.details}
        super().__init__(text, reason=first.reason, metadata=metadata, violations=violations)


def invalid(field: str, message: str) -> InvalidArgument:
    """One field is at fault."""
    return InvalidArgument([Violation(field, message)])


class MalformedJson(ServiceError):
    """The body isn't a JSON object."""

    code = "INVALID_ARGUMENT"
    reason = "MALFORMED_JSON"

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        where = {"line": str(line), "column": str(column)} if line else {}
        super().__init__(message, metadata=where)


def sentence(text: str) -> str:
    """The text with a stop at its end."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def shown(value: object, limit: int = 80) -> str:
    """The value as it may stand in a message: short, whatever was sent."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


class NotFound(ServiceError):
    """There is no such thing."""

    code = "NOT_FOUND"
    reason = "NOT_FOUND"

    def __init__(self, resource: str, key: str, message: str | None = None) -> None:
        text = message or f"There is no {resource} {shown(key)}. The list has those that there are."
        super().__init__(text, metadata={"resource": resource, "id": key[:128]})


class WrongState(ServiceError):
    """The action doesn't fit the state."""

    code = "FAILED_PRECONDITION"
    reason = "WRONG_STATE"

    def __init__(self, key: str, state: str, action: str, message: str) -> None:
        super().__init__(message, metadata={"id": key, "state": state, "action": action})


class Unsupported(ServiceError):
    """In the contract, but not in this version."""

    code = "FAILED_PRECONDITION"
    reason = "UNSUPPORTED"


class ResumeTokenExpired(ServiceError):
    """The token is older than what is kept, or not one of ours."""

    code = "OUT_OF_RANGE"
    reason = "RESUME_TOKEN_EXPIRED"

    def __init__(self, token: str) -> None:
        text = "The resume token is not known any more. Read the resource, then watch without a token."
        super().__init__(text, metadata={"resume_token": token})


class AlreadyExists(ServiceError):
    """The id is taken."""

    code = "ALREADY_EXISTS"
    reason = "ALREADY_EXISTS"

    def __init__(self, resource: str, key: str) -> None:
        text = f"There is a {resource} {key!r} already. Choose another id, or leave it out to get a new one."
        super().__init__(text, metadata={"resource": resource, "id": key})


class Conflict(ServiceError):
    """Somebody changed it at the same time."""

    code = "ABORTED"
    reason = "CONFLICT"

    def __init__(self, key: str) -> None:
        text = f"{key} was changed at the same time. Read it again and repeat."
        super().__init__(text, metadata={"id": key})


class LimitReached(ServiceError):
    """A limit of the suite is reached."""

    code = "RESOURCE_EXHAUSTED"
    reason = "LIMIT_REACHED"


class WatcherTooSlow(ServiceError):
    """The watcher reads more slowly than messages come."""

    code = "RESOURCE_EXHAUSTED"
    reason = "WATCHER_TOO_SLOW"

    def __init__(self, token: str) -> None:
        text = "You read more slowly than messages come. Watch again with the last resume token."
        super().__init__(text, metadata={"resume_token": token})


class NotReady(ServiceError):
    """The service is starting, recovering or stopping."""

    code = "UNAVAILABLE"
    reason = "NOT_READY"

    def __init__(self, service: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message, metadata={"service": service, **(metadata or {})}, retry_after=1.0)


class Unavailable(ServiceError):
    """Something that the service stands on can't be reached."""

    code = "UNAVAILABLE"
    reason = "DEPENDENCY_UNAVAILABLE"

    def __init__(self, dependency: str, why: str = "") -> None:
        text = f"{why or f'{dependency} can not be reached now.'} Nothing was changed; try again in a moment."
        super().__init__(text, metadata={"dependency": dependency}, retry_after=1.0)


class StoreFull(ServiceError):
    """Redis has no room for a change: `what` is memory or disk, `message` says what to do."""

    code = "UNAVAILABLE"
    reason = "STORE_FULL"

    def __init__(self, what: str, message: str) -> None:
        text = (
            f"{message} Nothing was changed; jobs that run go on, and are caught up with when there is room."
        )
        super().__init__(text, metadata={"what": what}, retry_after=10.0)
