"""`make bench`: every benchmark, or those that are named, with figures that say what machine they are from."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run them one after the other."""
    known = sorted(file.stem for file in HERE.glob("[!_]*.py"))
    chosen = sys.argv[1:] or known
    for name in chosen:
        if name not in known:
            sys.exit(f"There is no benchmark {name!r}. There are: {', '.join(known)}.")
        print(f"\n=== {name}", flush=True)
        sys.argv = [name]
        runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")


main()
