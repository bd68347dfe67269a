"""From the bytes that a process prints to the lines that a terminal would show."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A longer line is cut into pieces of so many bytes.
PIECE_BYTES = 16 * 1024

_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class LineAssembler:
    """Collects chunks of output and gives whole lines, without their ends."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that end in this chunk, and pieces of a line that is too long to wait for its end."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        lines = [piece for raw in whole for piece in pieces(shown(raw))]
        if len(self._rest) > PIECE_BYTES:
            lines += self._overflow()
        return lines

    def flush(self) -> list[str]:
        """What is left at the end of the output: at most one line."""
        rest, self._rest = self._rest, b""
        return list(pieces(shown(rest))) if rest else []

    def _overflow(self) -> list[str]:
        """A progress display goes on for hours without a line end: what it has painted over is let go."""
        painted, carriage, last = self._rest.rpartition(b"\r")
        if carriage:
            self._rest = shown(painted).encode() + carriage + last
        if len(self._rest) <= 2 * PIECE_BYTES:
            return []
        *full, rest = pieces(shown(self._rest))
        self._rest = rest.encode()
        return full


def shown(raw: bytes) -> str:
    """What a terminal shows of this line: each carriage return begins again at the left, over what is there.

    >>> shown(b"10%\\r 50%\\r100%\\r")
    '100%'
    >>> shown(b"loading\\rdone")
    'doneing'
    """
    text = raw.decode("utf-8", "replace")
    if "\x1b" in text:
        text = _CONTROL_SEQUENCE.sub("", text)
    if "\r" not in text:
        return text
    line = ""
    for part in text.split("\r"):
        line = part + line[len(part) :]
    return line.rstrip()


def pieces(line: str) -> Iterator[str]:
    """The line in pieces of at most PIECE_BYTES of UTF-8; a character is never cut in two."""
    if len(line) * 4 <= PIECE_BYTES:
        yield line
        return
    data = line.encode("utf-8")
    start = 0
    while len(data) - start > PIECE_BYTES:
        end = _character_start(data, start + PIECE_BYTES)
        yield data[start:end].decode("utf-8")
        start = end
    yield data[start:].decode("utf-8")


def _character_start(data: bytes, position: int) -> int:
    while data[position] & 0xC0 == 0x80:
        position -= 1
    return position
