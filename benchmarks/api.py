"""The API under load, through Envoy: requests per second, p50 and p99, CPU of the suite for each request.

usage: python benchmarks/api.py [--jobs 0,10000,100000] [--connections 1,16,64] [--seconds 1]

It starts suites of its own (the trainer is the double, nothing is trained) and measures over REST (HTTP/1.1)
and over gRPC. Stored jobs are completed ones, written through the store of the training service; the creates
that are measured come on top of them. The client has its part of the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from load import askers, world

from support.suite import Suite

FORMS = ("REST", "gRPC")
SINGLES = 200


class Table:
    """Measures cases and prints a line for each."""

    def __init__(self, suite: Suite, connections: Sequence[int], seconds: float) -> None:
        self._suite, self._connections, self._seconds = suite, connections, seconds

    def measure(self, label: str, forms: Sequence[askers.Connect]) -> None:
        for form, connect in zip(FORMS, forms, strict=True):
            for number in self._connections:
                before = world.cpu(self._suite)
                found = askers.load(self._suite.port, connect, number, self._seconds)
                used = {name: spent - before.get(name, 0.0) for name, spent in world.cpu(self._suite).items()}
                each = {name: spent / (found.count + number) for name, spent in used.items()}
                parts = " ".join(f"{name} {each[name]:.2f}" for name in ("envoy", "training", "gpu", "redis"))
                print(
                    f"{label:34} {form} {number:4} {found.rate:7.0f}/s {found.p50:8.2f} {found.p99:8.2f}"
                    f"   {sum(each.values()):5.2f}: {parts}",
                    flush=True,
                )


def creates(suite: Suite, *, start: bool) -> Sequence[askers.Connect]:
    """A create over REST and over gRPC."""
    text = json.dumps(world.body(suite.home, start=start)).encode()
    return askers.cases("", text, world.message(suite.home, start=start))["create"]


def with_preflight(home: Path, jobs: Sequence[int], connections: Sequence[int], seconds: float) -> None:
    """All calls beside more and more jobs, then creates that find changed files, then those that start."""
    with world.running(home, "true") as suite:
        table = Table(suite, connections, seconds)
        job_id = suite.create(**world.body(home, start=False))
        text = json.dumps(world.body(home, start=False)).encode()
        time.sleep(world.SETTLED_S)
        for number in jobs:
            world.fill(suite, number)
            for name, forms in askers.cases(job_id, text, world.message(home, start=False)).items():
                table.measure(f"{name}, {number:,} stored", forms)
            print(f"MiB with {number:,} stored: {world.memory(suite)}", flush=True)
        one_by_one(suite, "files as before", start=False)
        with world.changing(home):
            table.measure("create, files changed", creates(suite, start=False))
            one_by_one(suite, "files changed", start=False)
        table.measure("create and start", creates(suite, start=True))
        one_by_one(suite, "files as before, auto_start", start=True)


def without_preflight(home: Path, connections: Sequence[int], seconds: float) -> None:
    """Creates alone: nothing else looks at files."""
    with world.running(home, "false") as suite:
        Table(suite, connections, seconds).measure("create, no pre-flight", creates(suite, start=False))


def one_by_one(suite: Suite, label: str, *, start: bool) -> None:
    """Median of creates, one after the other."""
    took = askers.singles(suite.port, creates(suite, start=start)[0], SINGLES)
    print(f"one create over REST, {label}, median of {SINGLES}: {statistics.median(took):.2f} ms", flush=True)


def numbers(text: str) -> list[int]:
    """Numbers with commas between them."""
    return [int(part) for part in text.split(",")]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=numbers, default=[0, 10_000])
    parser.add_argument("--connections", type=numbers, default=[1, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0)
    chosen = parser.parse_args(argv)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, client included"
    )
    print(f"{'call':34} form conn      rate      p50      p99   CPU ms of all: by process")
    for measure in (
        lambda home: with_preflight(home, chosen.jobs, chosen.connections, chosen.seconds),
        lambda home: without_preflight(home, chosen.connections, chosen.seconds),
    ):
        with tempfile.TemporaryDirectory(prefix="swb") as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
