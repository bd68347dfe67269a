"""Chaos for a suite: clients that never give up, and somebody who kills and freezes its parts.

Everything random comes from seeded generators, one for the jobs and one for the faults, so a seed gives
the same jobs and the same faults in the same order; their timing is that of the machine.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from support.suite import API, Suite
from swiftletd.runner.processes import is_alive

PARTS = ("gpu", "training", "deploy", "envoy", "redis")
PROBES = {"training": "/training/jobs", "gpu": "/training/queue", "deploy": "/deploy/jobs"}
RECOVERY_SECONDS = 60.0
UNREADY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Kind:
    """A kind of job: what its process does, and in which state it ends unless somebody stops it."""

    name: str
    fake: dict[str, Any]
    ends: str = "completed"
    steps: int = 6
    retries: int = 0
    stopped: bool = False


KINDS = (
    Kind("short", {"step_seconds": 0.03, "print_lines": 20}),
    Kind("long", {"step_seconds": 0.1, "print_lines": 20}, steps=40),
    Kind("flood", {"step_seconds": 0.05, "print_lines": 3000}),
    Kind("crash", {"step_seconds": 0.05, "print_lines": 20, "crash_at": 4}, ends="failed"),
    Kind("oom", {"step_seconds": 0.05, "print_lines": 20, "kill_at": 3}, ends="failed", retries=1),
    Kind("stopped", {"step_seconds": 0.1, "print_lines": 20}, steps=10_000, stopped=True),
)


@dataclass
class Accepted:
    """A job whose creation was answered with 201."""

    kind: Kind
    stop_asked: bool = False


class Client:
    """Creates jobs, and stops some, until it is told to end; repeats each call until it is answered."""

    def __init__(self, suite: Suite, seed: int, directory: Path, pause: float) -> None:
        self._suite, self._random, self._pause = suite, random.Random(f"jobs {seed}"), pause
        self._directory, self._seed = directory, seed
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{suite.port}", timeout=5)
        self._end = threading.Event()
        self._to_stop: list[tuple[float, str]] = []
        self.accepted: dict[str, Accepted] = {}
        self.answers: Counter[str] = Counter()
        self._thread = ThreadPoolExecutor(1)
        self._work: Future[None] | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._work = self._thread.submit(self._run)

    def finish(self) -> None:
        """Create no more, stop what is still to be stopped; raises what went wrong."""
        self._end.set()
        self._thread.shutdown(wait=True)
        self._http.close()
        if self._work:
            self._work.result()

    def _run(self) -> None:
        while not self._end.wait(self._pause * self._random.uniform(0.5, 1.5)):
            self._create(self._random.choice(KINDS))
            self._stop_those_due(time.monotonic())
        self._stop_those_due(float("inf"))

    def _create(self, kind: Kind) -> None:
        key = f"chaos-{self._seed}-{len(self.accepted)}"
        reply = self._until_answered(
            f"{API}/training/jobs", json=self._body(kind), headers={"idempotency-key": key}
        )
        assert reply.status_code == httpx.codes.CREATED, f"{reply.status_code} {reply.text}"
        job_id = reply.json()["job_id"]
        assert job_id not in self.accepted, f"{key} was answered with the job of another key"
        self.accepted[job_id] = Accepted(kind)
        if kind.stopped:
            self._to_stop.append((time.monotonic() + self._random.uniform(0, 6), job_id))

    def _stop_those_due(self, now: float) -> None:
        due = [job_id for at, job_id in self._to_stop if at <= now]
        self._to_stop = [(at, job_id) for at, job_id in self._to_stop if at > now]
        for job_id in due:
            self.accepted[job_id].stop_asked = True
            reply = self._until_answered(f"{API}/training/jobs/{job_id}/stop")
            assert reply.status_code == httpx.codes.OK, f"{reply.status_code} {reply.text}"

    def _until_answered(self, path: str, **request: Any) -> httpx.Response:
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                reply = self._http.post(path, **request)
                self.answers[str(reply.status_code)] += 1
                if reply.status_code not in UNREADY:
                    return reply
                why = reply.text
            except httpx.HTTPError as error:
                self.answers[type(error).__name__] += 1
                why = repr(error)
            assert time.monotonic() < deadline, f"no answer for {RECOVERY_SECONDS} s: {path} {why}"
            time.sleep(0.2)

    def _body(self, kind: Kind) -> dict[str, Any]:
        model = self._directory / kind.name
        model.mkdir(exist_ok=True)
        (model / "fake_swift.json").write_text(json.dumps(kind.fake))
        data = self._directory / "data.jsonl"
        data.write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
        return {
            "task_type": "llm",
            "model_path": str(model),
            "data_path": str(data),
            "output_dir": str(self._suite.home / "out"),
            "max_retries": kind.retries,
            "llm_params": {"max_steps": kind.steps, "save_steps": kind.steps},
        }


@dataclass
class Faults:
    """Kills and freezes parts of a suite, and measures how long it takes until all of it answers again."""

    suite: Suite
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(f"faults {self.seed}")
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.suite.port}", timeout=2)

    def inject(self, count: int) -> None:
        """So many faults; after half of them it waits until all is well, after the others it doesn't."""
        for _ in range(count):
            part = self._random.choice(PARTS)
            freeze, patient = self._random.random() < 0.4, self._random.random() < 0.5
            pause, between = self._random.uniform(0.5, 5), self._random.uniform(0.2, 1.5)
            if freeze:
                self._freeze(part, pause)
            else:
                self._kill(part, measured=patient)
            if patient:
                self.wait_until_well()
            time.sleep(between)
        self.wait_until_well()
        self._http.close()

    def _kill(self, part: str, *, measured: bool) -> None:
        if measured:
            self.wait_until_well()
        began = time.monotonic()
        self._send(part, signal.SIGKILL)
        self.done[f"kill {part}"] += 1
        if measured:
            self.wait_until_well()
            self.recoveries.setdefault(part, []).append(time.monotonic() - began)

    def _freeze(self, part: str, seconds: float) -> None:
        pid, started = self._send(part, signal.SIGSTOP)
        self.done[f"freeze {part}"] += 1
        try:
            time.sleep(seconds)
        finally:
            if is_alive(pid, started):
                os.kill(pid, signal.SIGCONT)

    def _send(self, part: str, number: signal.Signals) -> tuple[int, int]:
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            pid, started = self._process(part)
            if pid and is_alive(pid, started):
                os.kill(pid, number)
                return pid, started
            time.sleep(0.05)
        raise AssertionError(f"{part} was not started again\n{self.suite.logs()}")

    def _process(self, part: str) -> tuple[int, int]:
        listed = json.loads((self.suite.home / "h" / "run" / "suite.json").read_text())
        found = next(member for member in listed["members"] if member["name"] == part)
        return found["pid"] or 0, found["start_time"]

    def wait_until_well(self) -> None:
        """Until each service answers through the gateway, its own store included."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while missing := [name for name, path in PROBES.items() if not self._answers(path)]:
            assert time.monotonic() < deadline, f"{missing} don't come back\n{self.suite.logs()}"
            time.sleep(0.05)

    def _answers(self, path: str) -> bool:
        try:
            return self._http.get(API + path).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
