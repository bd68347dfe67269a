"""What is wrong with a request, in the words that every check here uses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from swiftletd.kernel.errors import InvalidArgument, Violation, shown

__all__ = ["InvalidParams", "Violation", "did_you_mean", "in_file", "one_of", "placed", "shown"]


class InvalidParams(InvalidArgument):
    """The request can not be accepted; `violations` has each fault with its field, at least one."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(violations)


def in_file(field: str, message: str, file: str, line: int = 0) -> Violation:
    """A fault of a file that the field names; `line` counts from 1, 0 is the file as a whole."""
    place = f"{file}:{line}" if line else file
    details = {"file": file, "line": str(line)} if line else {"file": file}
    return Violation(field, f"{place} {message}", "PATH_NOT_USABLE", details)


def placed(at: str, violations: Iterable[Violation]) -> list[Violation]:
    """The faults of a block under the name that the block has in the request."""
    return [replace(fault, field=f"{at}.{fault.field}") if at else fault for fault in violations]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` with a leading space, or nothing when no known word is near."""
    near = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def one_of(words: Iterable[str]) -> str:
    """`a, b or c`"""
    *head, last = words
    return f"{', '.join(head)} or {last}" if head else last
