"""Starting a runner so that it lives on whatever happens to who started it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from swiftletd.runner.processes import MARK

# What `python -m swiftletd.runner --detach` leaves with.
STARTED, BAD_SPEC, BUSY = 0, 2, 3
LAUNCH_SECONDS = 30.0
_LAST_WORDS_BYTES = 2000


class LaunchError(RuntimeError):
    """The runner could not be started; the message says why."""


def launch(python: Path | str, run_dir: Path | str) -> bool:
    """Start the runner of a directory that has its spec.json; False if one works there already.

    When this returns, the runner has the lock, is in a session of its own, and is nobody's child: it is
    never a zombie of the service. Takes the time of a Python start, some 50 ms. Raises LaunchError.
    """
    directory = Path(run_dir).absolute()
    log = directory / "runner.log"
    # -P: the run directory is the working directory, and must not be a place to import from.
    command = [str(python), "-P", "-m", "swiftletd.runner", "--detach", str(directory)]
    try:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            code = subprocess.run(
                command,
                cwd=directory,
                env={name: value for name, value in os.environ.items() if name != MARK},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                timeout=LAUNCH_SECONDS,
                check=False,
            ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"The runner could not be started: {error}") from error
    if code not in {STARTED, BUSY}:
        raise LaunchError(f"The runner left with {code}: {_last_words(log)}")
    return code == STARTED


def _last_words(log: Path) -> str:
    lines = log.read_bytes()[-_LAST_WORDS_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
