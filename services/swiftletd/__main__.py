"""`swiftletd`, or `python -m swiftletd`."""

from __future__ import annotations

import sys

from swiftletd.suite.cli import main as run


def main() -> None:
    """The console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
