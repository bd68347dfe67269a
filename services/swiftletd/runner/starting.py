"""Taking a run directory and becoming its runner, in a process that was made for it."""

from __future__ import annotations

from collections.abc import Callable

from swiftletd.runner import files
from swiftletd.runner.complaints import complain
from swiftletd.runner.launching import BAD_SPEC, BUSY, STARTED
from swiftletd.runner.redis import parse_address
from swiftletd.runner.rundir import RunDir
from swiftletd.runner.runner import Runner
from swiftletd.runner.spec import parse_spec


def begin(path: str, stand_alone: Callable[[], None] = lambda: None) -> int:
    """Take the lock and run the directory; the code is what the process leaves with.

    `stand_alone` is called as soon as the lock is held.
    """
    directory = RunDir(path)
    try:
        spec = parse_spec(directory.spec())
        parse_address(spec.redis_url)
        lock = files.lock(directory.lock_path)
    except (OSError, ValueError) as error:
        complain(f"{directory.path}: {error}")
        return BAD_SPEC
    if lock is None:
        complain(f"{directory.path}: another runner works here.")
        return BUSY
    stand_alone()
    Runner(directory, spec).run()
    return STARTED
