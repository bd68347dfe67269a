"""Is a file or directory a data set that ms-swift can train on?"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swiftletd.training.adapters.preflight.files import Unreadable
from swiftletd.training.adapters.preflight.rows import count_rows, first_rows, is_known
from swiftletd.training.domain.rows import Need, media_fault, media_of, row_fault
from swiftletd.training.domain.violations import Violation, in_file

MOST_FAULTS = 5
"""Faults told of one file: the same mistake is in every row more often than not."""
MOST_ENTRIES = 10_000
"""Entries of a directory that are looked through."""
_DATA_FORMATS = "jsonl, json, csv, txt or parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a data set is to be looked at: the rows of each file, and whether their pictures matter."""

    need: Need
    rows: int
    media: bool


@dataclass(frozen=True, slots=True)
class LocalDataset:
    """`rows` is None where counting them is not cheap."""

    rows: int | None
    faults: tuple[Violation, ...]


def split_sample(text: str) -> tuple[str, str]:
    """`path#500` in its two parts; the second one is empty where there is none."""
    path, mark, number = text.rpartition("#")
    return (path, number) if mark and number.isdecimal() and int(number) > 0 else (text, "")


def read_dataset(path: Path, at: str, look: Look) -> LocalDataset:
    """Look at the first rows; `at` is the field that named it. Raises Unreadable, OSError."""
    if not path.exists():
        raise Unreadable("is not there", path)
    file = _first_file(path) if path.is_dir() else path
    if file is None or not look.rows:
        return LocalDataset(None, ())
    if not is_known(file):
        raise Unreadable(f"is no data set that ms-swift reads; it takes {_DATA_FORMATS}", file)
    faults, looked_at = _faults(file, at, look)
    if not looked_at and file.suffix != ".parquet":
        raise Unreadable("has no rows", file)
    return LocalDataset(None if path.is_dir() else count_rows(file), faults)


def _first_file(directory: Path) -> Path | None:
    """The first file of rows in a directory or just below it; None where only its loader can tell."""
    found = itertools.chain(directory.glob("*"), directory.glob("*/*"))
    inside = sorted(path for path in itertools.islice(found, MOST_ENTRIES) if is_known(path))
    if not inside:
        raise Unreadable(f"holds no data file ({_DATA_FORMATS})", directory)
    # A json or txt file in a downloaded data set describes it more often than not.
    return next((path for path in inside if path.suffix not in {".json", ".txt"}), None)


def _faults(file: Path, at: str, look: Look) -> tuple[tuple[Violation, ...], int]:
    faults: list[Violation] = []
    looked_at = 0
    for line, row in first_rows(file, look.rows):
        looked_at += 1
        text = row_fault(row, look.need) or (_media_fault(row, file.parent) if look.media else "")
        if text:
            faults.append(in_file(at, text, str(file), line))
        if len(faults) == MOST_FAULTS:
            break
    return tuple(faults), looked_at


def _media_fault(row: Any, directory: Path) -> str:
    return (media_fault(row) or next(_missing_media(row, directory), "")) if isinstance(row, Mapping) else ""


def _missing_media(row: Mapping[str, Any], directory: Path) -> Iterator[str]:
    for column, path in media_of(row):
        if _is_path(path) and not os.path.exists(directory / os.path.expanduser(path)):  # noqa: PTH110, PTH111
            yield f"names in {column} {path}, which is not there"


def _is_path(text: str) -> bool:
    """Not a URL, and not the picture itself as text."""
    return not text.startswith(("http://", "https://", "data:")) and len(text) <= 2000
