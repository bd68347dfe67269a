"""Is a file or directory a data set that ms-swift can train on?"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swiftletd.training.adapters.preflight.files import Unreadable
from swiftletd.training.adapters.preflight.rows import first_rows, is_known
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
    """`rows` were looked at, None where only its loader can read it; `media` are the files that they name."""

    rows: int | None
    faults: tuple[Violation, ...] = ()
    media: frozenset[str] = frozenset()


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
        return LocalDataset(None)
    if not is_known(file):
        raise Unreadable(f"is no data set that ms-swift reads; it takes {_DATA_FORMATS}", file)
    dataset = _looked_at(file, at, look)
    if not dataset.rows and file.suffix != ".parquet":
        raise Unreadable("has no rows", file)
    return dataset


def _first_file(directory: Path) -> Path | None:
    """The first file of rows in a directory or just below it; None where only its loader can tell."""
    found = itertools.chain(directory.glob("*"), directory.glob("*/*"))
    inside = sorted(path for path in itertools.islice(found, MOST_ENTRIES) if is_known(path))
    if not inside:
        raise Unreadable(f"holds no data file ({_DATA_FORMATS})", directory)
    # A json or txt file in a downloaded data set describes it more often than not.
    return next((path for path in inside if path.suffix not in {".json", ".txt"}), None)


def _looked_at(file: Path, at: str, look: Look) -> LocalDataset:
    faults: list[Violation] = []
    media: set[str] = set()
    looked_at = 0
    for line, row in first_rows(file, look.rows):
        looked_at += 1
        text = row_fault(row, look.need) or (_media_fault(row, file.parent, media) if look.media else "")
        if text:
            faults.append(in_file(at, text, str(file), line))
        if len(faults) == MOST_FAULTS:
            break
    return LocalDataset(looked_at, tuple(faults), frozenset(media))


def _media_fault(row: Any, directory: Path, there: set[str]) -> str:
    """What is wrong with the pictures of a row; those that are there are added to `there`."""
    if not isinstance(row, Mapping):
        return ""
    if fault := media_fault(row):
        return fault
    for column, text in media_of(row):
        path = os.path.join(directory, os.path.expanduser(text))
        if not _is_path(text) or path in there:
            continue
        if not os.path.exists(path):
            return f"names in {column} {text}, which is not there"
        there.add(path)
    return ""


def _is_path(text: str) -> bool:
    """Not a URL, and not the picture itself as text."""
    return not text.startswith(("http://", "https://", "data:")) and len(text) <= 2000
