"""Bounded reading of files that a client named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_JSON = 16 * 2**20


class Unreadable(Exception):
    """The file can't be used; `line` counts from 1, 0 is the file as a whole."""

    def __init__(self, message: str, file: Path, line: int = 0) -> None:
        super().__init__(message)
        self.message, self.file, self.line = message, file, line


def read_object(path: Path) -> Mapping[str, Any]:
    """A JSON file that holds one object. Raises Unreadable, and OSError where it can't be opened."""
    with path.open("rb") as file:
        data = file.read(MOST_JSON + 1)
    if len(data) > MOST_JSON:
        raise Unreadable("is larger than 16 MiB", path)
    try:
        value = json.loads(data)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not valid JSON: {error.msg}", path, error.lineno) from None
    except (UnicodeDecodeError, RecursionError):
        raise Unreadable("is not valid JSON", path) from None
    if not isinstance(value, Mapping):
        raise Unreadable("must hold a JSON object", path)
    return value
