"""`python -m swiftletd.runner [--detach] RUN_DIR`: see docs/architecture.md for what is in the directory.

With --detach it returns as soon as the runner stands on its own and has the lock. Exit codes: 0 done (or,
detached, started), 2 bad arguments or a bad spec.json, 3 another runner works in this directory.
"""

from __future__ import annotations

import os
import sys

from swiftletd.runner import files
from swiftletd.runner.complaints import complain
from swiftletd.runner.launching import BAD_SPEC, BUSY, STARTED
from swiftletd.runner.redis import parse_address
from swiftletd.runner.rundir import RunDir
from swiftletd.runner.runner import Runner
from swiftletd.runner.spec import parse_spec


def main(arguments: list[str]) -> int:
    detach = arguments[:1] == ["--detach"]
    paths = arguments[1:] if detach else arguments
    if len(paths) != 1:
        complain("usage: python -m swiftletd.runner [--detach] RUN_DIR")
        return BAD_SPEC
    directory = RunDir(paths[0])
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
    # The lock goes over to the child, so that there is no moment in which nobody has it.
    if detach and os.fork():
        os._exit(STARTED)
    Runner(directory, spec).run()
    return STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
