"""From a submission to a running process: four figures that other schedulers are measured by.

usage: python benchmarks/yardsticks.py [--jobs 1000] [--waiting 500] [--seconds 15] [--only idle,drain]

A suite of its own with 12 devices from a file, driven through Envoy as a user would, pre-flight included.
Runners and processes are real. The trainer is a double: a program in C that says a first and a last line, so
that its own start is not what is measured. Every job is checked afterwards: it ran once, and its line is in
its log once.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf import json_format

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from load.world import prepare

from support.suite import API, Suite, fake_trainer
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftlet.training.v1 import training_service_pb2_grpc as rpc
from swiftletd.runner.rundir import STDOUT, RunDir

DEVICES = 12
CONNECTIONS = 16
MODEL = {"model_type": "qwen2", "template": "qwen2_5"}
TRAINER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **words) {
    char path[4096] = "logging.jsonl";
    double seconds = 0;
    FILE *told = fopen(SECONDS, "r");
    puts("first line");
    fflush(stdout);
    if (told && fscanf(told, "%lf", &seconds) == 1) usleep(seconds * 1e6);
    for (int i = 1; i + 1 < count; i++)
        if (!strcmp(words[i], "--output_dir")) {
            mkdir(words[i + 1], 0755);
            snprintf(path, sizeof path, "%s/logging.jsonl", words[i + 1]);
        }
    FILE *log = fopen(path, "a");
    fputs("{\"train_runtime\": 0.0, \"train_loss\": 1.0}\n", log);
    fclose(log);
    puts("last line");
    return 0;
}
"""


class Cluster:
    """A suite with 12 devices whose jobs sleep for as long as `sleep` said last."""

    def __init__(self, home: Path) -> None:
        self.home = home
        python = fake_trainer(home / "trainer")
        python.unlink()
        compiler = ["cc", "-O1", f'-DSECONDS="{home / "seconds"}"', "-x", "c", "-", "-o", python]
        subprocess.run(compiler, input=TRAINER, text=True, check=True)
        (home / "out").mkdir()
        inventory = {
            "machines": [{"name": "here", "gpus": [{"name": "Double", "memory_mib": 81_920, "count": 12}]}]
        }
        (home / "inventory.json").write_text(json.dumps(inventory))
        self.sleep(0)
        prepare(self.home)
        environment = {"TRAINER_PYTHON": str(python), "GPU_INVENTORY": str(home / "inventory.json")}
        self.suite = Suite(home, {**environment, "LOG_LEVEL": "WARNING"})
        self.body = {
            "task_type": "llm",
            "model_path": str(home / "model"),
            "data_path": str(home / "train.jsonl"),
            "output_dir": str(home / "out"),
            # The pre-flight sees to it that the checkpoints of all jobs that wait have room on the disk.
            "llm_params": {**MODEL, "tuner_type": "full", "save_total_limit": 1},
        }

    def sleep(self, seconds: float) -> None:
        """So long do jobs sleep that start from now on."""
        (self.home / "seconds").write_text(f"{seconds:g}\n")

    def granting(self, *, on: bool) -> None:
        """Start or stop the queue."""
        self.suite.api.post(f"{API}/training/queue/processor/{'start' if on else 'stop'}").raise_for_status()

    def count(self, status: str) -> int:
        """How many jobs are in this state."""
        return int(self.suite.get("/training/jobs", status=status, size=1)["total"])

    def wait(self, done: Callable[[], bool], seconds: float) -> None:
        """Look until it is done. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while not done():
            if time.monotonic() > until:
                raise TimeoutError(self.suite.logs())
            time.sleep(0.1)

    def forget(self) -> None:
        """Delete all jobs, and with them their directories."""
        self.wait(lambda: self.count("running") == 0, 60)
        self.wait(self._deleted, 300)
        self.wait(lambda: not any((self.suite.home / "h" / "runs" / "training").glob("*")), 60)

    def _deleted(self) -> bool:
        """Delete on where a call ran into its time limit. True when no job is left."""
        self.suite.api.delete(f"{API}/training/jobs", timeout=60)
        return int(self.suite.get("/training/jobs", size=1)["total"]) == 0

    def runs(self) -> Iterator[tuple[str, RunDir]]:
        """Each run of a job: the job, the directory."""
        for path in (self.suite.home / "h" / "runs" / "training").glob("*/*"):
            yield path.parent.name, RunDir(path)


Submit = Callable[[], Awaitable[str]]


async def over_rest(cluster: Cluster) -> Submit:
    """A connection that submits with the least of an HTTP client, so that this is not what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.suite.port)
    body = json.dumps(cluster.body).encode()
    head = f"POST {API}/training/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    request = f"{head}Content-Type: application/json\r\n\r\n".encode() + body

    async def submit() -> str:
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
        content = await reader.readexactly(int(fields[b"content-length"]))
        assert answer.startswith(b"HTTP/1.1 201"), content
        return str(json.loads(content)["job_id"])

    return submit


async def over_grpc(cluster: Cluster) -> Submit:
    """A channel that submits."""
    stub: Any = rpc.TrainingServiceStub(grpc.aio.insecure_channel(f"127.0.0.1:{cluster.suite.port}"))
    body = {**cluster.body, "task_type": "TASK_TYPE_LLM"}
    request = json_format.ParseDict(body, pb.CreateTrainingJobRequest())

    async def submit() -> str:
        return str((await stub.CreateTrainingJob(request)).job_id)

    return submit


async def submit_many(
    cluster: Cluster, connect: Callable[[Cluster], Awaitable[Submit]], connections: int, number: int
) -> list[str]:
    """So many jobs over so many connections; their ids."""
    ids: list[str] = []
    left = iter(range(number))

    async def one() -> None:
        submit = await connect(cluster)
        ids.extend([await submit() for _ in left])

    await asyncio.gather(*(one() for _ in range(connections)))
    return ids


def submissions(cluster: Cluster, number: int) -> None:
    """Jobs that stay in the queue: submissions per second."""
    cluster.granting(on=False)
    for name, connect in (("REST", over_rest), ("gRPC", over_grpc)):
        for connections, part in ((1, number // 10), (CONNECTIONS, number), (64, number)):
            began = time.perf_counter()
            ids = asyncio.run(submit_many(cluster, connect, connections, part))
            rate = len(set(ids)) / (time.perf_counter() - began)
            show(f"submissions, {name}, {connections} connections", f"{rate:.0f}/s")
            assert cluster.count("running") == 0
            cluster.forget()
    cluster.granting(on=True)


def idle_start(cluster: Cluster, number: int) -> None:
    """One job at a time on free devices: from the client's call to the first line in the log."""

    async def one() -> tuple[float, str]:
        submit = await over_rest(cluster)
        return time.time(), await submit()

    took = []
    for _ in range(number):
        began, job_id = asyncio.run(one())
        cluster.suite.wait_for(job_id, lambda job: job["status"] == "completed")
        took.append(lines(next(run for job, run in cluster.runs() if job == job_id))["first line"] - began)
    show("idle: submission to first line", spread(took))
    check(cluster, number)
    cluster.forget()


def hand_over(cluster: Cluster, waiting: int, seconds: float) -> None:
    """Busy devices, a long queue: from the last line of a job to the first line of the next on its device."""
    cluster.sleep(1)
    asyncio.run(submit_many(cluster, over_rest, CONNECTIONS, waiting + DEVICES))
    time.sleep(seconds)
    cluster.granting(on=False)
    cluster.wait(lambda: cluster.count("running") == 0, 60)
    left = cluster.count("queued") + cluster.count("pending")
    by_device: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _, run in cluster.runs():
        spec = run.spec()
        assert spec is not None
        by_device[spec["env"]["CUDA_VISIBLE_DEVICES"]].append(lines(run))
    pairs = []
    for rows in by_device.values():
        rows.sort(key=lambda row: row["first line"])
        pairs += list(itertools.pairwise(rows))
    gaps = [after["first line"] - before["last line"] for before, after in pairs]
    assert min(gaps) > 0, "two jobs ran on one device at a time"
    show(f"freed device to next first line, {waiting} to {left} waiting", spread(gaps))
    cluster.forget()
    cluster.sleep(0)
    cluster.granting(on=True)


def drain(cluster: Cluster, number: int) -> None:
    """Many trivial jobs, from the first submission until the last one is over."""
    began = time.perf_counter()
    asyncio.run(submit_many(cluster, over_rest, CONNECTIONS, number))
    submitted = time.perf_counter() - began
    cluster.wait(lambda: cluster.count("completed") >= number, 300)
    took = time.perf_counter() - began
    check(cluster, number)
    said = f"{took:.1f} s, {number / took:.0f}/s (all submitted after {submitted:.1f} s)"
    show(f"{number} trivial jobs on {DEVICES} devices", said)
    cluster.forget()


def check(cluster: Cluster, number: int) -> None:
    """Each of these jobs ran once and succeeded."""
    cluster.wait(lambda: all(run.exit() for _, run in cluster.runs()), 60)
    jobs = dict(cluster.runs())
    assert len(list(cluster.runs())) == len(jobs) == number
    for job_id, run in jobs.items():
        (step,) = run.steps()
        end = run.exit()
        assert step["success"], (job_id, step)
        assert end is not None, job_id
        assert (end["success"], end["lost"]) == (True, False), (job_id, end)
        said = [line.text for line in run.read_log(0, 1 << 20)[0] if line.stream == STDOUT]
        assert said == ["first line", "last line"], (job_id, said)


def lines(run: RunDir) -> dict[str, float]:
    """When each line was said, in Unix seconds."""
    found = run.read_log(0, 1 << 20)[0]
    return {
        line.text: datetime.fromisoformat(line.time).timestamp() for line in found if line.stream == STDOUT
    }


def spread(seconds: Sequence[float]) -> str:
    """Median and tail in milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms ({len(ordered)})"


def show(what: str, said: str) -> None:
    """A row of the table."""
    print(f"{what:56} {said}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--waiting", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--only", default="submissions,idle,hand-over,drain")
    chosen = parser.parse_args(argv)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, client included"
    )
    parts: dict[str, Callable[[Cluster], None]] = {
        "submissions": lambda cluster: submissions(cluster, chosen.jobs // 2),
        "idle": lambda cluster: idle_start(cluster, 40),
        "hand-over": lambda cluster: hand_over(cluster, chosen.waiting, chosen.seconds),
        "drain": lambda cluster: drain(cluster, chosen.jobs),
    }
    with tempfile.TemporaryDirectory(prefix="swy", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder))
        cluster.suite.up()
        try:
            for name in chosen.only.split(","):
                parts[name](cluster)
        finally:
            cluster.suite.api.close()
            cluster.suite.down()


if __name__ == "__main__":
    main()
