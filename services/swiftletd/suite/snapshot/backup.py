"""`swiftletd backup` and `restore`: the whole state in one file.

The file is a gzipped tar archive:

    manifest.json    what it is: format, version, when it was made, whether the runs are in it
    state.msgpack    [[key, expires at (Unix ms; -1: never), DUMP], ...] of all keys of Swiftlet
    runs/...         the directories of the runs, if asked for

The keys are read before the runs: so no key speaks of a run that isn't there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from redis import Redis, RedisError

from swiftletd.suite import broker
from swiftletd.suite.home import Home
from swiftletd.suite.processes import for_a_moment
from swiftletd.suite.settings import UpSettings
from swiftletd.suite.snapshot import archive, keys
from swiftletd.suite.snapshot.archive import ArchiveError, Manifest
from swiftletd.suite.status import runs as living_runs

FAILURES = (ArchiveError, broker.BrokerError, RedisError, OSError)


class BackupError(Exception):
    """It can't be saved or restored; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup holds."""

    keys: int
    files: int
    created_at: str


def save(settings: UpSettings, file: Path, *, with_runs: bool) -> Kept:
    """Write the backup `file`. The suite may run or not. Raises BackupError."""
    home = Home(settings.home)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(created_at=now, version=version("swiftletd"), with_runs=with_runs)
    try:
        entries = _dump(settings, home)
        files = archive.write(file, manifest, entries, home.runs)
    except FAILURES as error:
        raise BackupError(f"The backup failed: {error}") from error
    return Kept(len(entries), files, now)


def load(settings: UpSettings, file: Path) -> Kept:
    """Replace the state by the backup `file`. Only while the suite is down. Raises BackupError."""
    home = Home(settings.home)
    try:
        home.make()
        settings.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        if running := list(living_runs(home)):
            raise BackupError(
                f"{running[0].name} still runs (pid {running[0].pid}). Cancel it, or wait for its end."
            )
        with _alone(home), tempfile.TemporaryDirectory(prefix="restore-", dir=home.path) as scratch:
            unpacked = Path(scratch) / "runs"
            manifest, entries, files = archive.read(file, unpacked)
            with _redis(settings, home) as redis:
                keys.replace(redis, entries)
            if manifest.with_runs:
                _swap(home.runs, unpacked)
    except FAILURES as error:
        raise BackupError(f"The restore failed: {error}") from error
    return Kept(len(entries), files, manifest.created_at)


def _dump(settings: UpSettings, home: Home) -> list[keys.Entry]:
    if home.suite() is not None or broker.is_external(settings):
        with broker.client(settings.redis(), timeout=None) as redis:
            return keys.dump(redis)
    home.make()
    with _alone(home), _redis(settings, home) as redis:
        return keys.dump(redis)


@contextmanager
def _redis(settings: UpSettings, home: Home) -> Iterator[Redis]:
    """The Redis of a suite that is down: the embedded one is started for this."""
    with ExitStack() as stack:
        if not broker.is_external(settings):
            program = broker.program(home, broker.server_binary(), settings.redis_db)
            stack.enter_context(for_a_moment(program, settings.logs / "redis.log"))
        yield stack.enter_context(broker.client(settings.redis(), timeout=None))


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    """Hold the home, in which nothing may run."""
    lock = home.lock()
    if lock is None:
        raise BackupError(f"The suite of {home.path} runs. Stop it first: swiftletd down.")
    try:
        home.end_leftovers()
        yield
    finally:
        os.close(lock)


def _swap(runs: Path, restored: Path) -> None:
    """The old directories go only after the new ones are there."""
    restored.mkdir(mode=0o700, exist_ok=True)
    aside = restored.with_name("replaced")
    runs.rename(aside)
    restored.rename(runs)
