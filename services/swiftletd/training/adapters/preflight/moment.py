"""Good answers of the last moment: of a burst of creates that name the same files, the first one looks.

A file may always change right after it was looked at. This makes that moment a little longer, for what was
found good only: who mends a file must never be told of the old one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

A = TypeVar("A")

MOMENT_SECONDS = 0.05
MOST_ANSWERS = 256


class Moment:
    """For one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._until = now, 0.0
        self._answers: dict[Hashable, Any] = {}

    def ask(self, question: Hashable, look: Callable[[], A], good: Callable[[A], bool]) -> A:
        """What `look` said a moment ago, if that was good; else what it says now. Raises what it does."""
        if (now := self._now()) >= self._until:
            self._answers.clear()
            self._until = now + MOMENT_SECONDS
        if question in self._answers:
            known: A = self._answers[question]
            return known
        answer = look()
        if good(answer) and len(self._answers) < MOST_ANSWERS:
            self._answers[question] = answer
        return answer
