"""The API under load, through Envoy: requests per second, p50 and p99 in milliseconds.

usage: python benchmarks/api.py [--jobs 0,10000] [--connections 1,16,64] [--seconds 3]

It starts a suite of its own (the trainer is the double, nothing is trained), stores jobs, and measures
create (with and without pre-flight), get and list (a page of 10).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.suite import API, Suite, fake_trainer

Ask = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[int]]


class Http:
    """The least that an HTTP/1.1 client can be, so that the client isn't what is measured."""

    def __init__(self, method: str, path: str, body: bytes = b"") -> None:
        head = f"{method} {API}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        self._request = f"{head}Content-Type: application/json\r\n\r\n".encode() + body

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(fields[b"content-length"]))
        return int(head[9:12])


async def load(port: int, ask: Ask, connections: int, seconds: float) -> tuple[float, float, float]:
    """Requests per second, p50 and p99 in milliseconds."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < until:
            status = await ask(reader, writer)
            assert status < 300, status
            took.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    rate = len(took) / (time.perf_counter() - began)
    took.sort()
    return rate, took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000


def memory(suite: Suite) -> str:
    """MiB of each part."""
    record = json.loads((suite.home / "h" / "run" / "suite.json").read_text())
    parts = [(m["name"], psutil.Process(m["pid"]).memory_info().rss >> 20) for m in record["members"]]
    return ", ".join(f"{name} {mib}" for name, mib in parts)


def body(home: Path, *, start: bool = False) -> bytes:
    """A create body."""
    return json.dumps(
        {
            "task_type": "llm",
            "model_path": str(home / "model"),
            "data_path": str(home / "train.jsonl"),
            "output_dir": str(home / "out"),
            "llm_params": {"num_epochs": 1, "model_type": "qwen2", "template": "qwen2_5"},
            "auto_start": start,
        }
    ).encode()


def prepare(home: Path) -> None:
    """A model directory and a data set that pass the pre-flight."""
    model = home / "model"
    model.mkdir()
    (model / "config.json").write_text(
        json.dumps({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"})
    )
    (model / "tokenizer.json").write_text("{}")
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (home / "train.jsonl").write_text((json.dumps(row) + "\n") * 500)


def fill(suite: Suite, number: int) -> None:
    """Store jobs until there are so many."""
    have = suite.get("/training/jobs", size=1)["total"]

    async def create(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", suite.port)
        ask = Http("POST", "/training/jobs", body(suite.home))
        for _ in range(count):
            await ask(reader, writer)
        writer.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(create((number - have) // 16) for _ in range(16)))

    if number > have:
        asyncio.run(all_of_them())


def measure(suite: Suite, label: str, connections: Sequence[int], seconds: float) -> None:
    """One block of the table."""
    job_id = suite.create(**json.loads(body(suite.home)))
    cases = {
        "create": Http("POST", "/training/jobs", body(suite.home)),
        "get": Http("GET", f"/training/jobs/{job_id}"),
        "list": Http("GET", "/training/jobs?page=1&size=10"),
        "progress": Http("GET", f"/training/jobs/{job_id}/progress"),
        "logs": Http("GET", f"/training/jobs/{job_id}/logs?limit=100"),
    }
    for name, ask in cases.items():
        for number in connections:
            rate, p50, p99 = asyncio.run(load(suite.port, ask, number, seconds))
            print(f"{label:24} {name:9} {number:4} {rate:9.0f}/s {p50:8.2f} {p99:8.2f}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default="0,10000")
    parser.add_argument("--connections", default="1,16,64")
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args(argv)
    connections = [int(part) for part in chosen.connections.split(",")]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, client included"
    )
    print(f"{'stored jobs':24} {'call':9} conn      rate      p50      p99")
    for preflight in ("true", "false"):
        with tempfile.TemporaryDirectory(prefix="swb") as folder:
            home = Path(folder)
            prepare(home)
            python = fake_trainer(home / "trainer")
            suite = Suite(
                home, {"TRAINER_PYTHON": str(python), "PREFLIGHT": preflight, "LOG_LEVEL": "WARNING"}
            )
            suite.up()
            try:
                for number in [int(part) for part in chosen.jobs.split(",")]:
                    fill(suite, number)
                    label = f"{number}{'' if preflight == 'true' else ', no pre-flight'}"
                    measure(suite, label, connections, chosen.seconds)
                print(f"memory MiB: {memory(suite)}", flush=True)
                one = [timed(suite) for _ in range(200)]
                print(f"one create, median of 200: {statistics.median(one) * 1000:.2f} ms", flush=True)
            finally:
                suite.api.close()
                suite.down()


def timed(suite: Suite) -> float:
    """Seconds of one create."""
    began = time.perf_counter()
    suite.create(**json.loads(body(suite.home)))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
