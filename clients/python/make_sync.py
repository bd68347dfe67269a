"""Write the sync client from the async one, so that there is one source for both.

usage: .venv/bin/python clients/python/make_sync.py [--check]

With --check nothing is written; it exits with 1 if the sync client is not what the async one gives.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "src" / "swiftlet"
NOTE = "# Made by make_sync.py from the async client. Change that one.\n"

# In this order: each rule sees what the ones before it have left.
RULES: tuple[tuple[str, str], ...] = (
    (r"swiftlet\._aio", "swiftlet._sync"),
    (r"\bgrpc\.aio\.", "grpc."),
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[(Page\[T\])\]", r"\1"),
    (r", Awaitable\b", ""),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"__a(enter|exit|iter)__", r"__\1__"),
    (r"\bimport asyncio\b", "import time"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"The async client\b", "The sync client"),
)


def to_sync(source: str) -> str:
    """The sync form of a module of the async client, not yet formatted."""
    for pattern, replacement in RULES:
        source = re.sub(pattern, replacement, source)
    return NOTE + source


def tidy(source: str) -> str:
    """Formatted and sorted as the rest of the code."""
    # A loop that only yields what it gets is one `yield from`; sorting drops the second `import time`.
    for command in (
        ["check", "--fix", "--unsafe-fixes", "--select", "I,UP028", "--exit-zero"],
        ["format"],
    ):
        ruff = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "--quiet",
            "--stdin-filename",
            str(PACKAGE / "_sync/made.py"),
            "-",
        ]
        source = subprocess.run(
            ruff, input=source, capture_output=True, text=True, check=True, cwd=PACKAGE
        ).stdout
    return source


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the sync client from the async one.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if they differ")
    check = parser.parse_args().check
    stale = []
    for module in sorted((PACKAGE / "_aio").glob("*.py")):
        made, there = tidy(to_sync(module.read_text())), PACKAGE / "_sync" / module.name
        if not there.exists() or there.read_text() != made:
            stale.append(there.name)
            if not check:
                there.write_text(made)
    if stale and check:
        print(
            f"Not what the async client gives: {', '.join(stale)}. Run {Path(__file__).name}.",
            file=sys.stderr,
        )
    return int(bool(stale) and check)


if __name__ == "__main__":
    sys.exit(main())
