"""The commands of the suite: words for people around what the other modules do.

Each imports what it needs when it is called: `swiftletd gpu` pays for none of it.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swiftletd.suite.home import Home
    from swiftletd.suite.settings import UpSettings

NOT_RUNNING = 3  # as systemd and other init systems have it
FOLLOW_EVERY = 0.2  # seconds


def up(*, detach: bool, verbose: bool) -> int:
    """Start the suite."""
    from swiftletd.suite.up import up as start

    return start(_settings(), detach=detach, verbose=verbose)


def down(timeout: float) -> int:
    """Stop the suite; nothing to stop is no error."""
    from swiftletd.suite import status as state
    from swiftletd.suite.down import StillRunning, stop

    home = _home()
    try:
        ended = stop(home, timeout) if home.run.is_dir() else []
    except StillRunning as error:
        return complain(f"{error} `swiftletd status` shows what is still there.")
    print(
        f"Swiftlet is stopped (home {home.path})." if ended else f"Swiftlet does not run (home {home.path})."
    )
    if running := len(list(state.runs(home))):
        print(f"Runs that go on: {running}. The next `swiftletd up` finds them again.")
    return 0


def status(*, as_json: bool) -> int:
    """Show what runs where."""
    from swiftletd.suite import status as state

    home = _home()
    suite = home.suite()
    shown = state.lines(home, suite) if suite else list(state.runs(home))
    print(state.as_json(suite, shown) if as_json else state.as_text(home, suite, shown))
    if suite is None:
        return NOT_RUNNING
    return 0 if state.is_well(shown) else 1


def logs(name: str | None, count: int, *, follow: bool) -> int:
    """Show the log files of one process, or of all."""
    from swiftletd.suite.logfiles import Follower, last_lines

    there = {path.stem: path for path in sorted(_settings().logs.glob("*.log"))}
    if name is not None and name not in there:
        return complain(f"There is no log of {name!r}. There are: {', '.join(there) or 'none yet'}.")
    chosen = {name: there[name]} if name else there
    follower = Follower(chosen)
    for one, path in chosen.items():
        _show((one, line) for line in last_lines(path, count))
    while follow:
        _show(follower.read())
        time.sleep(FOLLOW_EVERY)
    return 0


def backup(file: Path, *, with_runs: bool) -> int:
    """Save the whole state."""
    from swiftletd.suite.snapshot.backup import BackupError, save

    try:
        kept = save(_settings(), file, with_runs=with_runs)
    except BackupError as error:
        return complain(str(error))
    print(f"Saved {kept.keys} keys and {kept.files} files of runs in {file}.")
    return 0


def restore(file: Path) -> int:
    """Replace the whole state."""
    from swiftletd.suite.snapshot.backup import BackupError, load

    try:
        kept = load(_settings(), file)
    except BackupError as error:
        return complain(str(error))
    print(f"Restored {kept.keys} keys and {kept.files} files of runs, saved at {kept.created_at}.")
    return 0


def version() -> int:
    """Print the version."""
    print(f"swiftletd {installed_version('swiftletd')}")
    return 0


def complain(text: str) -> int:
    """Say what went wrong; gives the exit code for it."""
    print(text, file=sys.stderr)
    return 1


def _settings() -> UpSettings:
    from swiftletd.kernel.settings import load
    from swiftletd.suite.settings import UpSettings

    return load(UpSettings)


def _home() -> Home:
    from swiftletd.suite.home import Home

    return Home(_settings().home)


def _show(lines: Iterable[tuple[str, str]]) -> None:
    for name, line in lines:
        print(f"{name:<8} | {line}", flush=True)
