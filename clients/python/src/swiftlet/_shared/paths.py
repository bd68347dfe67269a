"""Paths as the suite must get them: it has another working directory than its users."""

from __future__ import annotations

from pathlib import Path


def local(name: str) -> str:
    """A model or data set that exists here, as an absolute path; a hub id stays as it is.

    The `#n` of ms-swift, for the first n rows, stays at its end.
    """
    path, mark, rows = name.partition("#")
    found = Path(path).expanduser()
    return f"{found.resolve()}{mark}{rows}" if path and found.exists() else name


def output(name: str) -> str:
    """A directory for results, as an absolute path."""
    return str(Path(name).expanduser().absolute())
