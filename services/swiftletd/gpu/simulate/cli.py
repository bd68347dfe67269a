"""`swiftletd simulate TRACE --gpus 64`: what each policy would make of a trace of jobs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from swiftletd.gpu.domain.policy import POLICIES
from swiftletd.gpu.domain.request import MAX_GPUS
from swiftletd.gpu.simulate.engine import Progress, Run, cluster, rehearse
from swiftletd.gpu.simulate.figures import figures, line, table
from swiftletd.gpu.simulate.picture import picture
from swiftletd.gpu.simulate.trace import Job, TraceError, guessed, read

BAD_INPUT = 2


def main(argv: list[str]) -> int:
    """Runs the rehearsal that the arguments ask for. Returns the exit status: 2 for bad input."""
    asked = _parser().parse_args(argv)
    try:
        jobs = read(asked.trace, with_priority=asked.with_priority)
        if asked.guess > 1:
            jobs = guessed(jobs, asked.guess, asked.seed)
        _compare(jobs, asked)
    except (TraceError, ValueError, OSError) as error:
        print(f"swiftletd simulate: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _compare(jobs: Sequence[Job], asked: argparse.Namespace) -> None:
    devices = cluster(asked.gpus, asked.per_machine)
    names = asked.policy or list(POLICIES)
    lines = []
    for name in names:
        runs = rehearse(
            jobs,
            devices,
            POLICIES[name],
            same_machine=asked.same_machine,
            progress=_progress(name),
        )
        found = figures(runs, asked.gpus, len(jobs))
        lines.append(line(name, found))
        if asked.picture:
            target = asked.picture if len(names) == 1 else _beside(asked.picture, name)
            target.write_text(picture(runs, devices, _title(name, asked, runs)), encoding="utf-8")
    print(_said(jobs, asked, found.left_out), table(lines), sep="\n\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="swiftletd simulate",
        description="Rehearse a trace of jobs with the scheduler of the GPU service, policy by policy.",
        epilog="A trace is a CSV file with the columns job_id, submit_s, duration_s, num_gpus.",
    )
    parser.add_argument("trace", type=Path, metavar="TRACE", help="the CSV file")
    parser.add_argument("--gpus", type=_count, default=64, help="GPUs of the cluster (64)")
    parser.add_argument("--per-machine", type=_count, default=8, help="GPUs of one machine (8)")
    parser.add_argument(
        "--policy", action="append", choices=POLICIES, help="may be repeated; all if left out"
    )
    parser.add_argument(
        "--guess",
        type=_factor,
        default=1.0,
        metavar="FACTOR",
        help="the scheduler only knows durations to within this factor (1: it knows them exactly)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the guesses (1)")
    parser.add_argument("--same-machine", action="store_true", help="no job may spread over machines")
    parser.add_argument("--with-priority", action="store_true", help="use the column priority (0..10)")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw the GPUs over time")
    return parser


def _count(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 1 <= value <= MAX_GPUS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_GPUS}, not {text}")
    return value


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1000, not {text}")
    return value


def _said(jobs: Sequence[Job], asked: argparse.Namespace, left_out: int) -> str:
    known = "known exactly" if asked.guess == 1 else f"guessed within {asked.guess:g}x (seed {asked.seed})"
    said = f"{asked.trace.name}: {len(jobs):,} jobs on {asked.gpus} GPUs, durations {known}"
    return said + (f"; {left_out:,} too large for the cluster were left out" if left_out else "")


def _title(name: str, asked: argparse.Namespace, runs: Sequence[Run]) -> str:
    return f"{asked.trace.name}: {len(runs):,} jobs on {asked.gpus} GPUs, {name}"


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}-{name}{path.suffix}")


def _progress(name: str) -> Progress:
    """A line on a terminal that is rewritten now and then; nothing elsewhere."""
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.5 and sys.stderr.isatty():
            print(f"\r{name}: {done:,} of {total:,} jobs", end="", file=sys.stderr, flush=True)
            last = now
        if done == total and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    return tell
