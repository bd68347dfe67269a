"""Values as people read them. Everything here is pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from swiftlet.cli.app import plain

Cell = str | Text

STATUS_STYLES = {
    "running": "bold green",
    "available": "green",
    "completed": "green",
    "healthy": "green",
    "queued": "yellow",
    "pending": "yellow",
    "exporting": "cyan",
    "allocated": "cyan",
    "busy": "magenta",
    "failed": "bold red",
    "lost": "bold red",
    "unhealthy": "bold red",
    "cancelled": "dim",
}
LEVEL_STYLES = {"ERROR": "red", "WARNING": "yellow"}


BASES = {
    "progress": "its progress",
    "history": "similar jobs",
    "others": "other jobs",
    "limit": "its time limit",
    "assumed": "a guess",
    "overdue": "it is overdue",
}


def basis(word: str) -> str:
    """What an estimate rests on, for people."""
    return BASES.get(word, word)


def lines(parts: Iterable[str]) -> Text:
    """Several values in one cell; what steers a terminal is taken out of them."""
    return Text("\n".join(plain(part) for part in parts))


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, right: Iterable[str] = ()) -> Table:
    """A table without lines; the columns named in `right` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(plain(cell)) if isinstance(cell, str) else cell for cell in row))
    return made


def fields(pairs: Iterable[tuple[str, Cell]]) -> Table:
    """Names and values, one below the other; values that are empty are left out."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            made.add_row(name, Text(plain(value)) if isinstance(value, str) else value)
    return made


def status(word: str) -> Text:
    """A status in its colour."""
    return Text(*coloured(word))


def warning(text: str) -> Text:
    """What somebody should look after."""
    return Text(plain(text), LEVEL_STYLES["WARNING"])


def coloured(word: str) -> tuple[str, str]:
    """A status and its colour, as a part of a line."""
    return word, STATUS_STYLES.get(word, "")


def duration(seconds: float) -> str:
    """ "42 s", "3 min 05 s", "1 h 02 min", "2 d 3 h"."""
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min {left % 60:02} s"
    if left < 86400:
        return f"{left // 3600} h {left % 3600 // 60:02} min"
    return f"{left // 86400} d {left % 86400 // 3600} h"


def moment(timestamp: str, now: datetime | None = None) -> str:
    """An RFC 3339 time in the local zone: the time of day, with the date if it is another day."""
    at = _parsed(timestamp)
    if at is None:
        return timestamp
    today = (now or datetime.now().astimezone()).date()
    return at.strftime("%H:%M:%S" if at.date() == today else "%Y-%m-%d %H:%M")


def about(timestamp: str, now: datetime | None = None) -> str:
    """An estimated time, no more exact than it deserves: "11:40", "Sat 11:40", "2026-02-01"."""
    at, today = _parsed(timestamp), now or datetime.now().astimezone()
    if at is None:
        return timestamp
    days = (at.date() - today.date()).days
    if days == 0:
        return at.strftime("%H:%M")
    return at.strftime("%a %H:%M" if 0 < days < 7 else "%Y-%m-%d")


def _parsed(timestamp: str) -> datetime | None:
    """In the local zone; None for what is no time."""
    try:
        return datetime.fromisoformat(timestamp).astimezone()
    except ValueError:
        return None


def number(value: float) -> str:
    """Four digits that say something: 0.1332, 5.591, 1.2e-05."""
    return f"{value:.4g}"


def gib(mib: float) -> str:
    """MiB as GiB."""
    return f"{mib / 1024:.1f}"


def size(bytes_: float) -> str:
    """Bytes as GiB."""
    return f"{bytes_ / 2**30:.1f} GiB"


def log_line(timestamp: str, level: str, message: str) -> Text:
    """A line of a log, coloured by its level."""
    return Text.assemble((f"{moment(timestamp)} ", "dim"), (plain(message), LEVEL_STYLES.get(level, "")))
