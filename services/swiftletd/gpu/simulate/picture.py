"""A picture of a rehearsal: every GPU over time, and how many jobs waited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.simulate.engine import Run

WIDTH, LEFT, TOP, QUEUE_HEIGHT, GAP = 1200, 60, 40, 90, 30
DAY_S = 86_400.0
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f")
STEPS = 600


def picture(runs: Sequence[Run], devices: Sequence[Device], title: str) -> str:
    """The rehearsal as SVG text. A bar is a job on neighbouring GPUs; its tooltip names it."""
    height = max(4, min(10, 640 // len(devices)))
    top = TOP + QUEUE_HEIGHT + GAP
    bottom = top + height * len(devices)
    start, end = min(run.job.submit_s for run in runs), max(run.ended_s for run in runs)
    scale = (WIDTH - LEFT - 10) / max(1e-9, end - start)
    rows = {device.uuid: number for number, device in enumerate(devices)}
    view = f'viewBox="0 0 {WIDTH} {bottom + 40}" font-family="sans-serif" font-size="11"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
            *_queue(runs, start, end, scale),
            *_machines(devices, top, height),
            *_days(end - start, scale, bottom),
            *(bar for run in runs for bar in _bars(run, rows, start, scale, top, height)),
            "</svg>",
        ]
    )


def _bars(run: Run, rows: dict[str, int], start: float, scale: float, top: int, height: int) -> Iterator[str]:
    x, width = LEFT + (run.started_s - start) * scale, max(0.2, (run.ended_s - run.started_s) * scale)
    colour = COLOURS[hash_of(run.job.id) % len(COLOURS)]
    waited = run.started_s - run.job.submit_s
    tip = escape(f"job {run.job.id}: {run.job.gpus} GPUs, waited {waited:,.0f} s")
    for first, count in _neighbours(sorted(rows[uuid] for uuid in run.devices)):
        box = f'x="{x:.1f}" y="{top + first * height}" width="{width:.1f}" height="{count * height - 0.5}"'
        yield f'<rect {box} fill="{colour}"><title>{tip}</title></rect>'


def hash_of(name: str) -> int:
    """A number from a name that is the same in every process."""
    return sum(position * ord(letter) for position, letter in enumerate(name, 1))


def _neighbours(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, as (first, how many)."""
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield members[0], len(members)


def _queue(runs: Sequence[Run], start: float, end: float, scale: float) -> list[str]:
    """How many jobs waited, as an area above the GPUs."""
    counts = _waiting(runs, start, end)
    most = max(1, *counts)
    base, step = TOP + QUEUE_HEIGHT, (end - start) / STEPS
    points = " ".join(
        f"{LEFT + number * step * scale:.1f},{base - QUEUE_HEIGHT * count / most:.1f}"
        for number, count in enumerate(counts)
    )
    right = LEFT + (end - start) * scale
    return [
        f'<polygon points="{LEFT},{base} {points} {right:.1f},{base}" fill="#ccc"/>',
        f'<text x="4" y="{TOP + 10}">{most} wait</text>',
    ]


def _waiting(runs: Sequence[Run], start: float, end: float) -> list[int]:
    changes = [0] * (STEPS + 2)
    step = max(1e-9, (end - start) / STEPS)
    for run in runs:
        changes[int((run.job.submit_s - start) / step)] += 1
        changes[int((run.started_s - start) / step)] -= 1
    counts, count = [], 0
    for change in changes[: STEPS + 1]:
        count += change
        counts.append(count)
    return counts


def _machines(devices: Sequence[Device], top: int, height: int) -> Iterator[str]:
    numbered = enumerate(devices)
    for machine, members in groupby(numbered, lambda pair: pair[1].machine):
        y = top + next(members)[0] * height
        yield f'<text x="4" y="{y + 10}">{escape(machine)}</text>'
        yield f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}" stroke="#ddd"/>'


def _days(length: float, scale: float, bottom: int) -> Iterator[str]:
    every = max(1, round(length / DAY_S / 10))
    for day in range(0, int(length / DAY_S) + 1, every):
        x = LEFT + day * DAY_S * scale
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#eee"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}">day {day}</text>'
