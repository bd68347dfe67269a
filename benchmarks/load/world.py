"""The suite that is measured: its files, its stored jobs, its processes."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from support.suite import Suite, fake_trainer
from swiftlet.training.v1 import job_pb2, params_pb2
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.redis.client import connect
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.domain.job import Change, Job, State, changed
from swiftletd.training.wire.requests import to_new_job

AT_ONCE = 128  # writes of stored jobs that are under way
SETTLED_S = 2.1  # after so long the pre-flight keeps what a file said


@contextmanager
def running(home: Path, preflight: str) -> Iterator[Suite]:
    """A suite with a model and a data set; the trainer is the double, so nothing is trained."""
    prepare(home)
    environment = {
        "TRAINER_PYTHON": str(fake_trainer(home / "trainer")),
        "PREFLIGHT": preflight,
        "LOG_LEVEL": "WARNING",
        "DISK_REFUSE": "false",  # so many jobs would not fit on the disk
    }
    suite = Suite(home, environment)
    suite.up()
    try:
        yield suite
    finally:
        suite.api.close()
        suite.down()
        for left in suite.processes():  # jobs outlive their suite
            with suppress(psutil.NoSuchProcess):
                left.kill()
        suite.wait_until_gone()


def prepare(home: Path) -> None:
    """A model directory and a data set of 500 rows that pass the pre-flight."""
    model = home / "model"
    model.mkdir()
    config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    (model / "config.json").write_text(json.dumps(config))
    (model / "tokenizer.json").write_text("{}")
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (home / "train.jsonl").write_text((json.dumps(row) + "\n") * 500)


def body(home: Path, *, start: bool) -> dict:
    """A create body."""
    return {
        "task_type": "llm",
        "model_path": str(home / "model"),
        "data_path": str(home / "train.jsonl"),
        "output_dir": str(home / "out"),
        "llm_params": {"num_epochs": 1, "model_type": "qwen2", "template": "qwen2_5"},
        "auto_start": start,
    }


def message(home: Path, *, start: bool) -> pb.CreateTrainingJobRequest:
    """The same as a message."""
    fields = body(home, start=start)
    return pb.CreateTrainingJobRequest(
        **{
            **fields,
            "task_type": job_pb2.TASK_TYPE_LLM,
            "llm_params": params_pb2.TrainingParams(**fields["llm_params"]),
        }
    )


def fill(suite: Suite, number: int) -> None:
    """Store completed jobs until there are so many, by the script of the service, without their events."""
    missing = number - suite.get("/training/jobs", size=1)["total"]
    if missing > 0:
        job, _, _ = to_new_job(message(suite.home, start=False), time.time(), 3600.0)
        url = f"unix://{suite.home / 'h' / 'run' / 'redis.sock'}?db=0"
        asyncio.run(_store(url, changed(job, state=State.COMPLETED, settled=True), missing))


async def _store(url: str, job: Job, number: int) -> None:
    async with connect(url) as redis:
        store = RedisJobStore(redis, SystemClock())

        async def some(first: int) -> None:
            for n in range(first, number, AT_ONCE):
                kept = changed(job, id=f"stored-{job.id}-{n}", created_at=job.created_at + n * 1e-6)
                await store.commit(None, Change(kept))

        await asyncio.gather(*(some(first) for first in range(AT_ONCE)))


@contextmanager
def changing(home: Path) -> Iterator[None]:
    """The model and the data set change all the time, so that the pre-flight reads them for each create."""
    end = threading.Event()

    def touch() -> None:
        while not end.wait(0.5):
            os.utime(home / "train.jsonl")
            os.utime(home / "model" / "config.json")

    os.utime(home / "train.jsonl")
    os.utime(home / "model" / "config.json")
    toucher = threading.Thread(target=touch)
    toucher.start()
    try:
        yield
    finally:
        end.set()
        toucher.join()
        time.sleep(SETTLED_S)


def processes(suite: Suite) -> Mapping[str, int]:
    """Process ids by name."""
    record = json.loads((suite.home / "h" / "run" / "suite.json").read_text())
    return {member["name"]: member["pid"] for member in record["members"]}


def memory(suite: Suite) -> str:
    """MiB of each process, shared pages by their share."""
    sizes = {
        name: psutil.Process(pid).memory_full_info().pss / 2**20 for name, pid in processes(suite).items()
    }
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    return f"{parts}, together {sum(sizes.values()):.0f}"


def cpu(suite: Suite) -> dict[str, float]:
    """Milliseconds of CPU that each process has used, all of its threads."""
    return {name: sum(_threads(pid)) / 1e6 for name, pid in processes(suite).items()}


def _threads(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # it has ended
            yield int((thread / "schedstat").read_text().split()[0])
