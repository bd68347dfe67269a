"""What is wrong with a request: the one shape in which every check here answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One fault. `field` is the dotted path as the client wrote it, `line` counts from 1."""

    field: str
    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f" ({self.file}{f':{self.line}' if self.line else ''})" if self.file else ""
        return f"{self.field}: {self.message}{place}"


class InvalidParams(ValueError):
    """The request can not be accepted; `violations` has at least one entry."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(map(str, self.violations)))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` with a leading space, or nothing when no known word is near."""
    near = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def one_of(words: Iterable[str]) -> str:
    """`a, b or c`"""
    *head, last = words
    return f"{', '.join(head)} or {last}" if head else last


def shown(value: object, limit: int = 80) -> str:
    """The value as it may stand in a message: short, whatever was sent."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
