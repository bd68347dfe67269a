"""Tells the rest of the suite what the run directory says.

The directory is the truth, Redis only hears of it: everything is read back from disk, from a cursor on. So
Redis may be away for as long as it likes; when it is back, everything follows in order. What was sent
without a reply is sent again: readers drop a log batch by its offset, an event by its version.
"""

from __future__ import annotations

import json
import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from swiftletd.runner.complaints import complain
from swiftletd.runner.progress import Progress
from swiftletd.runner.redis import Command, Connection, RedisError, check, parse_address
from swiftletd.runner.rundir import RunDir
from swiftletd.runner.spec import Spec

PREFIX = "swiftlet:{runs}:"
EVENTS, TAIL = PREFIX + "events", PREFIX + "tail"
ALIVE, STOP = PREFIX + "alive:", PREFIX + "stop:"
# How many entries the tail keeps. Large batches mean a flood: fewer then, so that 100 MB are enough for it.
LARGE_BYTES = 4096
TAIL_LENGTH, TAIL_LENGTH_IN_FLOOD = 20_000, 1_000

HEARTBEAT_SECONDS = 5.0
ALIVE_SECONDS = 30
BATCH_SECONDS = 0.1
BATCH_BYTES = 64 * 1024
# Log batches that go out together when there is much to catch up on; events wait no longer than for these.
BATCHES_AT_ONCE = 8
# Unpublished progress rows that are kept while Redis is away; older ones are still in logging.jsonl.
PROGRESS_KEPT = 1000

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row; chance (0 to 1) spreads runners that fail together."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 10))
    return longest * (0.5 + chance / 2)


@dataclass(slots=True)
class Cursor:
    """What Redis has heard: how many events, the log up to which byte, progress up to which number."""

    events: int = 0
    log: int = 0
    progress: int = 0


class Publisher:
    """A thread that keeps Redis up to date, and hears from it that the run is to stop.

    `on_stop` is called with the word, in this thread, each time that it is seen.
    """

    def __init__(self, directory: RunDir, spec: Spec, on_stop: Callable[[str], None]) -> None:
        self._directory = directory
        self._spec = spec
        self._on_stop = on_stop
        self._address = parse_address(spec.redis_url)
        self._connection: Connection | None = None
        self._cursor = Cursor(**(directory.published() or {}))
        self._saved = replace(self._cursor)
        self._progress: deque[Progress] = deque(maxlen=PROGRESS_KEPT)
        self._latest = Progress()
        self._new_events = True
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._ending = threading.Event()
        self._asked = threading.Event()
        self._next_beat = 0.0
        self._failures = 0
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_first(self, seconds: float) -> None:
        """Wait until Redis was asked once whether the run is to stop, at most so long."""
        self._asked.wait(seconds)

    def notify_log(self) -> None:
        """There are new lines in the log."""
        self._wake.set()

    def notify_event(self) -> None:
        """Something has happened that is an event: the directory has it."""
        self._new_events = True
        self._urgent.set()
        self._wake.set()

    def add_progress(self, progress: Progress) -> None:
        self._latest = progress
        self._progress.append(progress)
        self._wake.set()

    def finish(self, seconds: float) -> bool:
        """After exit.json is there: wait until everything is published, at most so long. True if it was.

        A directory that somebody has removed is not waited for.
        """
        deadline = time.monotonic() + seconds
        self._ending.set()
        self.notify_event()
        while self._thread.is_alive() and time.monotonic() < deadline and self._directory.path.exists():
            self._thread.join(min(1.0, seconds))
        return not self._thread.is_alive()

    def _work(self) -> None:
        done = False
        while not done:
            self._wake.wait(max(0.0, self._next_beat - time.monotonic()))
            self._wake.clear()
            ending = self._ending.is_set()
            try:
                more = self._round(beat=not ending)
            except Exception as error:  # noqa: BLE001 this thread must outlive whatever happens to it
                self._failed(error)
                continue
            self._succeeded()
            done = ending and not more
            if not done:
                self._pause(more)
        self._leave()

    def _round(self, *, beat: bool) -> bool:
        """Publish what is new, a bounded part of it at once. True if there is more."""
        connection = self._connected()
        if beat and time.monotonic() >= self._next_beat:
            self._beat(connection)
        after = replace(self._cursor)
        looked, self._new_events = self._new_events, False
        try:
            commands = [*self._log_commands(after), *self._progress_commands(after)]
            commands += self._event_commands(after) if looked else []
            if commands:
                connection.write(commands)
        except BaseException:
            self._new_events |= looked
            raise
        return self._advance(after)

    def _advance(self, after: Cursor) -> bool:
        more = after.log - self._cursor.log > BATCH_BYTES
        self._cursor = after
        while self._progress and self._progress[0].seq <= after.progress:
            self._progress.popleft()
        return more or self._new_events

    def _log_commands(self, after: Cursor) -> Iterator[Command]:
        for _ in range(BATCHES_AT_ONCE):
            start, data = self._directory.log.read(after.log, BATCH_BYTES)
            if not data:
                return
            after.log = start + len(data)
            yield self._tail("log", start, after.log, data)

    def _progress_commands(self, after: Cursor) -> Iterator[Command]:
        for progress in self._progress.copy():
            after.progress = max(after.progress, progress.seq)
            yield self._tail("progress", progress.seq, progress.seq, json.dumps(progress.to_json()))

    def _event_commands(self, after: Cursor) -> Iterator[Command]:
        events = self._directory.events()
        for event in events[after.events :]:
            yield ("XADD", EVENTS, "*", "j", json.dumps(event), "type", event["type"])
        after.events = max(after.events, len(events))

    def _tail(self, kind: str, start: int, end: int, data: str | bytes) -> Command:
        where = ("run", self._spec.run, "kind", kind, "start", start, "end", end, "d", data)
        length = TAIL_LENGTH if len(data) < LARGE_BYTES else TAIL_LENGTH_IN_FLOOD
        return ("XADD", TAIL, "MAXLEN", "~", length, "*", *where)

    def _beat(self, connection: Connection) -> None:
        """Say that the run lives, and hear whether it is to stop: a full Redis refuses only the first."""
        runner, latest = self._directory.runner() or {}, self._latest
        alive = {
            "token": self._spec.token,
            "pid": runner.get("pid", 0),
            "start_time": runner.get("start_time", 0),
            "step": latest.step,
            "total_steps": latest.total_steps,
            "seconds_per_step": latest.seconds_per_step,
        }
        stop, kept = connection.run(
            [("GET", STOP + self._spec.run), ("SET", self._alive_key, json.dumps(alive), "EX", ALIVE_SECONDS)]
        )
        if isinstance(stop, str):
            self._on_stop(stop)
        self._asked.set()
        check([stop, kept])
        self._next_beat = time.monotonic() + HEARTBEAT_SECONDS
        self._save()

    @property
    def _alive_key(self) -> str:
        return ALIVE + self._spec.run

    def _save(self) -> None:
        """Remember the cursor, so that a runner that is started again does not say everything twice."""
        if self._saved == self._cursor:
            return
        try:
            self._directory.write_published(asdict(self._cursor))
        except OSError:
            return
        self._saved = replace(self._cursor)

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(self._address)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _pause(self, more: bool) -> None:
        """Lines that come in the next moment travel together; an event does not wait for that."""
        if more:
            self._wake.set()
        else:
            self._urgent.wait(BATCH_SECONDS)
        self._urgent.clear()

    def _succeeded(self) -> None:
        if self._failures:
            complain(f"Redis at {self._address} is back.")
        self._failures = 0

    def _failed(self, error: Exception) -> None:
        if not self._failures:
            complain(f"Redis at {self._address}: {error!r}. Going on without it and trying again.")
        if not isinstance(error, OSError | RedisError):
            traceback.print_exception(error)
        if not (isinstance(error, RedisError) and error.full):
            self._disconnect()
            # A Redis that crashed may have forgotten its last second. Events are few, and count once.
            self._cursor.events, self._new_events = 0, True
        time.sleep(backoff(self._failures, random.random()))  # noqa: S311 not a secret
        self._failures += 1
        self._wake.set()

    def _leave(self) -> None:
        """Everything is said: the heartbeat ends now and not half a minute later."""
        self._save()
        try:
            self._connected().run([("DEL", self._alive_key)])
        except (OSError, RedisError):
            pass
        self._disconnect()
