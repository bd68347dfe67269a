"""The first rows of a data set file, with their line numbers; never more than a bounded part is read."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from swiftletd.training.adapters.preflight.files import Unreadable

MOST_BYTES = 8 * 2**20
"""Read at most of one file: rows beyond it are not looked at."""

Numbered = tuple[int, object]


@dataclass(frozen=True, slots=True)
class Head:
    """The part of a file that was read; `complete` where that is all of it."""

    text: str
    complete: bool


def first_rows(path: Path, most: int) -> Iterator[Numbered]:
    """Up to `most` rows with the lines on which they begin. Raises Unreadable, OSError."""
    return itertools.islice(_READERS[path.suffix](path), most)


def is_known(path: Path) -> bool:
    """Whether ms-swift reads files of this kind; it takes `.JSONL` for something else than `.jsonl`."""
    return path.suffix in _READERS


def _head(path: Path) -> Head:
    """The first part of the file, up to the end of a line."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if complete := len(data) <= MOST_BYTES:
        return Head(_decoded(data, path, 0), complete)
    return Head(_decoded(data[: data.rfind(b"\n") + 1], path, 0), complete)


def _jsonl(path: Path) -> Iterator[Numbered]:
    left = MOST_BYTES
    with path.open("rb") as file:
        for number in itertools.count(1):
            line = file.readline(left)
            left -= len(line)
            # A line that is longer than what is left to read can't be judged.
            if not line or (left <= 0 and not line.endswith(b"\n")):
                return
            if line.strip():
                yield number, _parsed(_decoded(line, path, number), path, number)


def _decoded(data: bytes, path: Path, number: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text", path, number) from None


def _parsed(line: str, path: Path, number: int) -> object:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        pass  # it takes no NaN, and says less about what is wrong
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise Unreadable(f"is not valid JSON: {error.msg} (column {error.colno})", path, number) from None
    except RecursionError:
        raise Unreadable("is nested too deeply", path, number) from None


def _json(path: Path) -> Iterator[Numbered]:
    """A list of rows, or one row per line under the other name."""
    head = _head(path)
    begin = _skip(head.text, 0)
    return _listed(head, begin + 1, path) if head.text.startswith("[", begin) else _jsonl(path)


def _listed(head: Head, place: int, path: Path) -> Iterator[Numbered]:
    """The items of a JSON list, one by one: the whole may be too large to be read."""
    decoder, text = json.JSONDecoder(), head.text
    line, counted, place = 1, 0, _skip(text, place)
    while not text.startswith("]", place):
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, end = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError):
            if not head.complete:
                return
            raise Unreadable("is not valid JSON from this row on", path, line) from None
        yield line, value
        place = _skip(text, end)
        if text.startswith(",", place):
            place = _skip(text, place + 1)
        elif head.complete and not text.startswith("]", place):
            raise Unreadable("has no comma or closing bracket after this row", path, line)


def _skip(text: str, place: int) -> int:
    """The next place that is not white space."""
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _csv(path: Path) -> Iterator[Numbered]:
    head = _head(path)
    csv.field_size_limit(MOST_BYTES)
    reader = csv.DictReader(io.StringIO(head.text, newline=""), restkey="", strict=True)
    try:
        for row in reader:
            if "" in row:
                text = f"has {len(row[''])} more values than there are columns"
                raise Unreadable(text, path, reader.line_num)
            yield reader.line_num, row
    except csv.Error as error:
        if head.complete:
            raise Unreadable(f"is not valid CSV: {error}", path, reader.reader.line_num) from None


def _txt(path: Path) -> Iterator[Numbered]:
    for number, line in enumerate(_head(path).text.splitlines(), 1):
        if line.strip():
            yield number, {"text": line}


def _parquet(path: Path) -> Iterator[Numbered]:
    """Only the mark of the format is looked at: the rows need a library that the services do without."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise Unreadable("is not a parquet file", path)
    yield from ()


_READERS: Mapping[str, Callable[[Path], Iterator[Numbered]]] = MappingProxyType(
    {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".txt": _txt, ".parquet": _parquet}
)
