"""Traces of jobs: a CSV file with one row a job, and the guesses that a scheduler would have of it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from random import Random

from swiftletd.gpu.domain.request import MAX_GPUS, MAX_PRIORITY, MIN_PRIORITY

COLUMNS = ("job_id", "submit_s", "duration_s", "num_gpus")


class TraceError(ValueError):
    """A trace that cannot be read; the message names the file, the line and the column."""


@dataclass(frozen=True, slots=True)
class Job:
    """Times in seconds. `guess_s` is what the scheduler believes the job will take."""

    id: str
    submit_s: float
    duration_s: float
    gpus: int
    priority: int
    guess_s: float


def read(path: Path, *, with_priority: bool = False) -> list[Job]:
    """The jobs in the order in which they come. Raises TraceError for a file that is not a trace."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise TraceError(f"{path}: column {missing[0]} is missing; a trace has {', '.join(COLUMNS)}")
            jobs = [_job(row, f"{path}:{rows.line_num}", with_priority) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: cannot be read: {error}") from error
    if not jobs:
        raise TraceError(f"{path}: has no jobs")
    if len({job.id for job in jobs}) < len(jobs):
        raise TraceError(f"{path}: the same job_id is there twice")
    return sorted(jobs, key=lambda job: job.submit_s)


def guessed(jobs: Sequence[Job], factor: float, seed: int) -> list[Job]:
    """The jobs with guesses off by up to `factor` either way, evenly spread on a log scale."""
    random = Random(seed)  # noqa: S311 a rehearsal wants the same dice every time
    width = log(factor)
    return [
        replace(job, guess_s=job.duration_s * 2.718281828459045 ** random.uniform(-width, width))
        for job in jobs
    ]


def _job(row: dict[str, str], where: str, with_priority: bool) -> Job:
    duration = _number(row, "duration_s", where)
    return Job(
        id=row["job_id"],
        submit_s=_number(row, "submit_s", where),
        duration_s=duration,
        gpus=_whole(row, "num_gpus", where, 1, MAX_GPUS),
        priority=_whole(row, "priority", where, MIN_PRIORITY, MAX_PRIORITY) if with_priority else 0,
        guess_s=duration,
    )


def _whole(row: dict[str, str], column: str, where: str, least: int, most: int) -> int:
    value = _number(row, column, where, least, most)
    if not value.is_integer():
        raise TraceError(f"{where}: {column} must be a whole number, not {value:g}")
    return int(value)


def _number(row: dict[str, str], column: str, where: str, least: float = 0.0, most: float = 1e12) -> float:
    try:
        value = float(row[column])
    except (KeyError, TypeError, ValueError):
        raise TraceError(f"{where}: {column} must be a number, not {row.get(column)!r}") from None
    if not least <= value <= most:
        raise TraceError(f"{where}: {column} must be from {least:g} to {most:g}, not {value:g}")
    return value
