"""Optional numbers of a request: what was given is checked, and what was not has its default."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from swiftletd.kernel.errors import invalid

MAX_INT32 = 2**31 - 1
MAX_TAIL = 10_000  # lines of a log that a watcher can begin with
MAX_SEARCH = 256  # characters
MAX_OFFSET = 2**53  # bytes; up to here a double counts them one by one


def number(request: Message, field: str, default: int, least: int = 1, most: int = MAX_INT32) -> int:
    """An `optional int32` of the request, or `default` where it is not given. Raises InvalidArgument."""
    if not request.HasField(field):
        return default
    value: int = getattr(request, field)
    if least <= value <= most:
        return value
    limits = f"{least} or more" if most == MAX_INT32 else f"from {least} to {most}"
    raise invalid(field, f"must be {limits}, got {value}.")


def log_place(request: Any) -> tuple[int | None, int]:
    """Where in a log to begin: a byte, and a line from 1; (None, 0) where neither is given.

    `request` has the fields offset, line and search. Raises InvalidArgument.
    """
    line = number(request, "line", 0)
    if not 0 <= request.offset <= MAX_OFFSET:
        raise invalid("offset", f"must be from 0 to {MAX_OFFSET}, got {request.offset:g}.")
    if line and request.HasField("offset"):
        raise invalid("line", "can't be given together with offset; leave one of them out.")
    if len(request.search) > MAX_SEARCH:
        raise invalid("search", f"is longer than {MAX_SEARCH} characters.")
    return (int(request.offset) if request.HasField("offset") else None), line


def tail_of(request: Message) -> int | None:
    """The `tail` of a log to be watched, in lines; None for all of it. Raises InvalidArgument."""
    return number(request, "tail", 0, 0, MAX_TAIL) if request.HasField("tail") else None
