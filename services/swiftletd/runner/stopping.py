"""Whether the run is to stop, and why: from a file, a signal, Redis, or the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from swiftletd.runner.rundir import CANCELLED, TIME_LIMIT, RunDir, known_stop_word


class StopRequest:
    """The first word that is seen stays; empty until then."""

    def __init__(self, directory: RunDir, wake: Callable[[], None]) -> None:
        self.word = ""
        self._directory = directory
        self._wake = wake
        self._terminated = False
        self._time_limit_at = float("inf")

    def begin(self, time_limit: float) -> None:
        """The run begins now; after time_limit seconds (0 for never) it is to stop."""
        if time_limit:
            self._time_limit_at = time.monotonic() + time_limit
        self.look()

    def ask(self, word: str) -> None:
        """From any thread."""
        self.word = self.word or known_stop_word(word)
        self._wake()

    def terminate(self) -> None:
        """SIGTERM came: somebody wrote a word and wants it seen now, or means it by itself."""
        self._terminated = True

    def look(self) -> None:
        """See what the directory, the signal and the clock say."""
        if not self.word:
            self.word = self._directory.stop_word() or self._otherwise()

    @property
    def is_urgent(self) -> bool:
        """True if it is time to look before the next tick."""
        return bool(self.word) or self._terminated

    def _otherwise(self) -> str:
        # Somebody who removes the directory wants nothing more of the run.
        if self._terminated or not self._directory.path.exists():
            return CANCELLED
        return TIME_LIMIT if time.monotonic() >= self._time_limit_at else ""
