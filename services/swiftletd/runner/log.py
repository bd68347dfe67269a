"""The log of a run: lines in segments, addressed by their offset in the whole.

A line is `<time> <stream> <text>`, the time as in `clock.rfc3339`, the stream O (stdout), E (stderr) or
S (Swiftlet itself). A segment is named by the offset at which it begins; a line never spans two.
"""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swiftletd.runner.clock import rfc3339
from swiftletd.runner.lines import PIECE_BYTES

SEGMENT_BYTES = 16 * 1024 * 1024
STDOUT: Final = "O"
STDERR: Final = "E"
SWIFTLET: Final = "S"

# The longest line there can be: a piece and what stands before it.
LONGEST_LINE = PIECE_BYTES + 64
BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: where it begins in the log of the run (bytes), when it was read, from where, what it says."""

    offset: int
    time: str
    stream: str
    text: str


def parse_line(raw: bytes, offset: int) -> LogLine:
    """Read a line without its end. What no runner wrote whole (a power cut) comes back as text alone."""
    text = raw.decode("utf-8", "replace")
    head = text[:27]
    if len(head) == 27 and head[23] == "Z" and head[24] == head[26] == " " and head[25] in "OES":
        return LogLine(offset, head[:24], head[25], text[27:])
    return LogLine(offset, "", "", text)


def parse_lines(data: bytes, offset: int) -> Iterator[LogLine]:
    """The lines in `data`, which begins at `offset` and ends with a line end."""
    for raw in data.split(b"\n")[:-1]:
        yield parse_line(raw, offset)
        offset += len(raw) + 1


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    start: int
    path: Path

    def size(self) -> int:
        return self.path.stat().st_size


def list_segments(directory: Path) -> list[Segment]:
    """The segments, oldest first; none if there is no log yet."""
    try:
        names = [entry.name for entry in os.scandir(directory)]
    except FileNotFoundError:
        return []
    found = [(name, name.removesuffix(".log")) for name in names if name.endswith(".log")]
    return sorted(Segment(int(start), directory / name) for name, start in found if start.isdecimal())


class LogWriter:
    """Adds lines. A full disk loses none: they wait in memory, `stuck` says so, `flush` tries again."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._clock = clock
        self._pending = bytearray()
        self._file = -1
        segments = list_segments(directory)
        self._segment_start = segments[-1].start if segments else 0
        self.size = self._segment_start + (segments[-1].size() if segments else 0)

    @property
    def stuck(self) -> bool:
        return bool(self._pending)

    def write(self, stream: str, lines: Iterable[str]) -> None:
        # A new segment only between two lines: a line that the disk took half of goes on where it is.
        if not self.stuck and self.size - self._segment_start >= SEGMENT_BYTES:
            self._begin_segment()
        head = f"{rfc3339(self._clock())} {stream} "
        self._pending += "".join([f"{head}{line}\n" for line in lines]).encode()
        self.flush()

    def flush(self) -> None:
        """Bring what waits to the disk; leave it waiting if the disk takes no more."""
        try:
            while self._pending:
                written = os.write(self._open_segment(), self._pending)
                del self._pending[:written]
                self.size += written
        except OSError:
            return

    def close(self) -> None:
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin_segment(self) -> None:
        self.close()
        self._segment_start = self.size

    def _open_segment(self) -> int:
        if self._file < 0:
            path = self._directory / f"{self._segment_start:016d}.log"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self._file


class LogReader:
    """Reads a log that may still grow. Offsets are bytes in the whole log; only whole lines are seen."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._counted: dict[int, tuple[int, int]] = {}

    def size(self) -> int:
        """Offset behind the last byte."""
        segments = list_segments(self._directory)
        return segments[-1].start + segments[-1].size() if segments else 0

    def read(self, offset: int, max_bytes: int) -> tuple[int, bytes]:
        """Whole lines from the first line that begins at `offset` or later, and where that line begins.

        At most max_bytes (but room for one line always), and no further than the end of a segment: read on at
        start + len(data). No data means that there is nothing behind `offset` yet.
        """
        segments = list_segments(self._directory)
        first = max(0, bisect.bisect_right([segment.start for segment in segments], offset) - 1)
        for segment in segments[first:]:
            start, data = _read_segment(segment, max(offset, segment.start), max(max_bytes, LONGEST_LINE))
            if data:
                return start, data
        return offset, b""

    def blocks(self, offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """Everything from `offset` on, as `read` gives it."""
        while True:
            start, data = self.read(offset, BLOCK_BYTES)
            if not data:
                return
            yield start, data
            offset = start + len(data)

    def tail_offset(self, lines: int) -> int:
        """Where the last so many lines begin."""
        segments = list_segments(self._directory)
        if lines <= 0 or not segments:
            return self.size()
        # The line end before these lines is one line end more.
        wanted = lines + 1
        for begin, block in _blocks_backwards(segments):
            found = block.count(b"\n")
            if found >= wanted:
                return begin + _after_newline(block, found - wanted)
            wanted -= found
        return segments[0].start

    def line_offset(self, line: int) -> int:
        """Where a line begins, counted from 1; behind the last byte if there are not so many."""
        before = line - 1
        for segment in list_segments(self._directory):
            lines = self._count(segment)
            if before < lines:
                return segment.start + _offset_in(segment, before)
            before -= lines
        return self.size()

    def count(self) -> int:
        """How many lines there are. What was counted is remembered: only growth costs anything."""
        return sum(self._count(segment) for segment in list_segments(self._directory))

    def _count(self, segment: Segment) -> int:
        seen, lines = self._counted.get(segment.start, (0, 0))
        with segment.path.open("rb") as file:
            file.seek(seen)
            while block := file.read(BLOCK_BYTES):
                seen += len(block)
                lines += block.count(b"\n")
        self._counted[segment.start] = (seen, lines)
        return lines


def _read_segment(segment: Segment, offset: int, max_bytes: int) -> tuple[int, bytes]:
    """One byte more is read before `offset`, to see whether a line begins there."""
    begin = max(min(offset - 1, segment.start + segment.size()), segment.start)  # none can seek to 2**53
    with segment.path.open("rb") as file:
        file.seek(begin - segment.start)
        block = file.read(max_bytes + 1)
    if begin < offset:
        skipped = block.find(b"\n") + 1
        if not skipped:
            return offset, b""
        begin, block = begin + skipped, block[skipped:]
    return begin, block[: block.rfind(b"\n") + 1]


def _blocks_backwards(segments: list[Segment]) -> Iterator[tuple[int, bytes]]:
    """The whole log in blocks from its end, each with its offset."""
    for segment in reversed(segments):
        with segment.path.open("rb") as file:
            end = segment.size()
            while end > 0:
                begin = max(0, end - BLOCK_BYTES)
                file.seek(begin)
                yield segment.start + begin, file.read(end - begin)
                end = begin


def _offset_in(segment: Segment, lines: int) -> int:
    """Where the line behind so many lines begins in a segment that has more than these."""
    place = 0
    with segment.path.open("rb") as file:
        while lines and (block := file.read(BLOCK_BYTES)):
            found = block.count(b"\n")
            if found >= lines:
                return place + _after_newline(block, lines - 1)
            place, lines = place + len(block), lines - found
    return place


def _after_newline(block: bytes, index: int) -> int:
    """The place behind the line end number `index`, from 0."""
    place = 0
    for _ in range(index + 1):
        place = block.index(b"\n", place) + 1
    return place
