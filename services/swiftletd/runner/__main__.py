"""`python -m swiftletd.runner [--detach] RUN_DIR`: see docs/architecture.md for what is in the directory.

With --detach it returns as soon as the runner stands on its own and has the lock. Exit codes: 0 done (or,
detached, started), 2 bad arguments or a bad spec.json, 3 another runner works in this directory.
"""

from __future__ import annotations

import os
import sys

from swiftletd.runner.complaints import complain
from swiftletd.runner.launching import BAD_SPEC, STARTED
from swiftletd.runner.starting import begin


def main(arguments: list[str]) -> int:
    detach = arguments[:1] == ["--detach"]
    paths = arguments[1:] if detach else arguments
    if len(paths) != 1:
        complain("usage: python -m swiftletd.runner [--detach] RUN_DIR")
        return BAD_SPEC
    return begin(paths[0], _detach) if detach else begin(paths[0])


def _detach() -> None:
    """Go on in a child: the lock goes over to it, so that there is no moment in which nobody has it."""
    if os.fork():
        os._exit(STARTED)


if __name__ == "__main__":
    # Not sys.exit: everything is written, and taking the interpreter apart is time that somebody waits for.
    os._exit(main(sys.argv[1:]))
