"""The directory of a run: what is where in it, and the reading side that the services use.

Everything here is standard library and blocks on files for moments only, except `Launcher` and
`end_processes`, which an asyncio program calls in a thread.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from swiftletd.runner import files
from swiftletd.runner.events import events_of
from swiftletd.runner.launching import Launcher, LaunchError
from swiftletd.runner.log import STDERR, STDOUT, SWIFTLET, LogLine, LogReader, parse_lines
from swiftletd.runner.processes import Process, boot_id, is_alive, read_process, send
from swiftletd.runner.removal import replace_log
from swiftletd.runner.sweeping import end_processes, find_processes

__all__ = [
    "STDERR",
    "STDOUT",
    "STOP_WORDS",
    "SWIFTLET",
    "LaunchError",
    "Launcher",
    "LogLine",
    "Process",
    "RunDir",
    "RunDirs",
    "begin",
    "bury",
    "end_processes",
    "find_processes",
]

CANCELLED, TIME_LIMIT, LEASE_REVOKED = "cancelled", "time_limit", "lease_revoked"
# A runner that finds nothing left to end writes down the end of its run in a moment.
WRITE_DOWN_SECONDS, LOOK_SECONDS = 10.0, 0.02
STOP_WORDS: Final = frozenset({CANCELLED, TIME_LIMIT, LEASE_REVOKED})

Record = dict[str, Any]
PAGE_BYTES = 256 * 1024  # of a log, in one reading


class RunDir:
    """One run's directory. What is not there yet reads as None or nothing; other trouble is an OSError."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()
        self.log = LogReader(self.path / "log")

    # --- What the service writes
    def write_spec(self, spec: Record) -> None:
        """Make the directory, which only its owner may read, and write what is to be done."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_json(self.path / "spec.json", spec, sync=True)

    def request_stop(self, word: str) -> bool:
        """Ask the runner to end the run; True if it lives and was signalled. The first word stays.

        A run that has no directory yet gets one: whoever launches it now starts nothing.
        """
        if word not in STOP_WORDS:
            raise ValueError(f"word must be one of {', '.join(sorted(STOP_WORDS))}")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.stop_word() is None:
            files.write_text(self.path / "stop", word, sync=True)
        runner = self._living_runner()
        return runner is not None and self.exit() is None and send(runner, signal.SIGTERM)

    # --- What the runner writes
    @property
    def lock_path(self) -> Path:
        return self.path / "lock"

    def write_runner(self, record: Record) -> None:
        files.write_json(self.path / "runner.json", record, sync=True)

    def write_child(self, record: Record) -> None:
        files.write_json(self.path / "child.json", record)

    def write_progress(self, record: Record) -> None:
        files.write_json(self.path / "progress.json", record)

    def write_published(self, record: Record) -> None:
        files.write_json(self.path / "published.json", record)

    def add_step(self, record: Record) -> None:
        files.append_json(self.path / "steps.jsonl", record)

    def remove_log(self, sentence: str) -> bool:
        """Put the sentence in the place of the log of an ended run; False, and nothing, while it lives."""
        if self.is_alive():
            return False
        replace_log(self.path, sentence)
        return True

    def write_exit(self, record: Record) -> None:
        files.write_json(self.path / "exit.json", record, sync=True)

    # --- What everybody reads
    def spec(self) -> Record | None:
        return files.read_json(self.path / "spec.json")

    def runner(self) -> Record | None:
        """pid, start_time, boot_id, started_at of the runner."""
        return files.read_json(self.path / "runner.json")

    def child(self) -> Record | None:
        """step, pid, start_time, started_at of the step that was started last."""
        return files.read_json(self.path / "child.json")

    def progress(self) -> Record | None:
        """The latest progress, in the fields of `swiftletd.runner.progress.Progress`."""
        return files.read_json(self.path / "progress.json")

    def published(self) -> Record | None:
        """How much of it Redis has heard: events, log (bytes), progress (seq)."""
        return files.read_json(self.path / "published.json")

    def steps(self) -> list[Record]:
        """The steps that ended, in order, in the fields of `swiftletd.runner.steps.StepEnd`."""
        return files.read_json_lines(self.path / "steps.jsonl")

    def exit(self) -> Record | None:
        """success, stopped, ended_at and lost of the run; None while it goes on, or if it was lost."""
        return files.read_json(self.path / "exit.json")

    def stop_word(self) -> str | None:
        """Why the run is to stop; None if it is not. A word that nobody knows means cancelled."""
        try:
            word = (self.path / "stop").read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        return known_stop_word(word)

    def events(self) -> list[Record]:
        """The events of the run so far, as it publishes them."""
        run = (self.spec() or {}).get("run", "")
        steps, end = self.steps(), self.exit()
        return events_of(run, runner=self.runner(), child=self.child(), steps=steps, end=end)

    def has_begun(self) -> bool:
        """True if a runner has worked here: another one will not run it again."""
        return self.runner() is not None

    def is_alive(self) -> bool:
        """True if a runner works here, be it only to publish what is left after exit.json."""
        return self._living_runner() is not None or files.is_locked(self.lock_path)

    def _living_runner(self) -> Process | None:
        known = self.runner()
        if known is None or known.get("boot_id", boot_id()) != boot_id():
            return None  # it lived before the machine was started
        if not is_alive(known["pid"], known["start_time"]):
            return None
        return read_process(known["pid"])

    # --- The log
    def log_size(self) -> int:
        """Bytes of the log so far."""
        return self.log.size()

    def count_lines(self) -> int:
        """Lines of the log so far; keep the RunDir, and only what is new is counted."""
        return self.log.count()

    def line_offset(self, line: int) -> int:
        """Byte at which a line begins, counted from 1; the size of the log if there are not so many."""
        return self.log.line_offset(line)

    def read_log(self, offset: int, max_bytes: int) -> tuple[list[LogLine], int]:
        """Lines from the first that begins at `offset` or later, some max_bytes of them; where to read on."""
        lines: list[LogLine] = []
        left = max_bytes
        while left > 0:
            start, data = self.log.read(offset, left)
            if not data:
                break
            lines += parse_lines(data, start)
            offset = start + len(data)
            left -= len(data)
        return lines, offset

    def page(
        self, offset: int, limit: int, *, text: str = "", keep: Callable[[LogLine], bool] | None = None
    ) -> tuple[list[LogLine], int]:
        """At most `limit` lines from a byte on, and where to read on; `text` and `keep` as in `search`."""
        if text or keep:
            return self.search(text, limit=limit, offset=offset, keep=keep or (lambda line: True))
        lines, end = self.read_log(offset, PAGE_BYTES)
        return (lines[:limit], lines[limit].offset) if len(lines) > limit else (lines, end)

    def tail_log(self, lines: int) -> tuple[list[LogLine], int]:
        """The last so many lines, and where to read on."""
        offset = self.log.tail_offset(lines)
        found: list[LogLine] = []
        for start, data in self.log.blocks(offset):
            found += parse_lines(data, start)
            offset = start + len(data)
        return found, offset

    def search(
        self,
        text: str,
        *,
        limit: int,
        offset: int = 0,
        max_bytes: int = 64 * 1024 * 1024,
        keep: Callable[[LogLine], bool] = lambda line: True,
    ) -> tuple[list[LogLine], int]:
        """Lines that hold `text` in any case and that `keep` keeps, and where to search on.

        It ends at `limit` lines, or after max_bytes were looked through; at the end of the log the second
        value is the size of the log.
        """
        found: list[LogLine] = []
        looked = 0
        for start, data in self.log.blocks(offset):
            for line in _matching(text, data, start):
                if keep(line):
                    found.append(line)
                    if len(found) == limit:
                        return found, line.offset + len(_raw(data, line.offset - start)) + 1
            offset = start + len(data)
            looked += len(data)
            if looked >= max_bytes:
                break
        return found, offset


def begin(launcher: Launcher, directory: RunDir, spec: Record) -> None:
    """Write down what is to be done and start the runner.

    Whoever comes second, at the same time or later, changes nothing. Raises OSError or LaunchError only if
    no runner has begun here.
    """
    try:
        if directory.spec() is None:
            directory.write_spec(spec)
        launcher.launch(directory.path)
    except (OSError, LaunchError):
        if not (directory.has_begun() or directory.is_alive()):
            raise


def bury(launcher: Launcher, directory: RunDir, grace: float) -> None:
    """End what a dead runner left behind, as `end_processes` does.

    Then a new runner writes down how the run ended and tells everybody: that gives its GPUs back at once,
    and not when its lease has expired. The log is complete when this returns. Harmless where no runner
    ever began. Raises LaunchError.
    """
    if directory.spec():
        end_processes(directory.path, grace)
    if not directory.has_begun():
        return
    launcher.launch(directory.path)
    deadline = time.monotonic() + WRITE_DOWN_SECONDS
    while directory.exit() is None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


class RunDirs:
    """Run directories, the latest `most` of them kept: each remembers the lines that it has counted.

    May be used by several threads.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[Path, RunDir] = {}

    def __getitem__(self, path: Path) -> RunDir:
        with self._lock:
            run = self._kept.pop(path, None) or RunDir(path)
            self._kept[path] = run
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
            return run

    def forget(self, home: Path) -> None:
        """The directories below it were removed; what comes in their place is counted anew."""
        with self._lock:
            self._kept = {path: run for path, run in self._kept.items() if not path.is_relative_to(home)}


def known_stop_word(word: str) -> str:
    return word if word in STOP_WORDS else CANCELLED


def _matching(text: str, data: bytes, start: int) -> Iterator[LogLine]:
    """Only a block that holds the text somewhere is taken apart."""
    wanted = re.compile(re.escape(text), re.IGNORECASE)
    if not wanted.search(data.decode("utf-8", "replace")):
        return iter(())
    return (line for line in parse_lines(data, start) if wanted.search(line.text))


def _raw(data: bytes, start: int) -> bytes:
    return data[start : data.index(b"\n", start)]
