"""Runs of the fake swift under real runners, each in a directory of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from support.redis import RedisServer
from support.waiting import eventually
from swiftletd.runner.launching import Spawner
from swiftletd.runner.processes import read_process
from swiftletd.runner.rundir import RunDir, end_processes, find_processes

FAKE_SWIFT = Path(__file__).with_name("fake_swift.py")
EVENTS, TAIL = "swiftlet:{runs}:events", "swiftlet:{runs}:tail"


class FakeRun:
    """One run: a training of `steps` quick steps, then an export of its last checkpoint.

    `fake` is what fake_swift.py is told; `spec` replaces fields of spec.json.
    """

    def __init__(
        self,
        path: Path,
        redis_url: str,
        launcher: Spawner,
        *,
        steps: int = 10,
        fake: dict[str, Any] | None = None,
        **spec: Any,
    ):
        self._launcher = launcher
        self.name = f"training-{path.name}-1"
        self.directory = RunDir(path)
        self.out = path / "out"
        self.merged = self.out / f"checkpoint-{steps}-merged"
        told = json.dumps({"step_seconds": 0.02, **(fake or {})})
        self.spec = {
            "run": self.name,
            "kind": "training",
            "owner": path.name,
            "attempt": 1,
            "token": 7,
            "redis_url": redis_url,
            "time_limit": 0,
            "grace_seconds": 5,
            "env": {"FAKE_SWIFT": told},
            "steps": [self.train(steps), self.export()],
            **spec,
        }

    def train(self, steps: int, *words: str) -> dict[str, Any]:
        argv = ["sft", "--output_dir", str(self.out), "--max_steps", str(steps), "--save_steps", "5", *words]
        return self.step("train", argv, str(self.out))

    def export(self) -> dict[str, Any]:
        argv = ["export", "--adapters", "{checkpoint}", "--output_dir", "{checkpoint}-merged"]
        return self.step("export", argv, "{checkpoint}-merged")

    def step(self, name: str, words: list[str], output_dir: str = "") -> dict[str, Any]:
        argv = [sys.executable, str(FAKE_SWIFT), *words]
        return {"name": name, "argv": argv, "cwd": str(self.directory.path), "output_dir": output_dir}

    def start(self) -> bool:
        self.directory.write_spec(self.spec)
        return self.start_again()

    def start_again(self) -> bool:
        return self._launcher.launch(self.directory.path)

    def complete(self) -> dict[str, Any]:
        """Start, and wait until the runner has left; what exit.json says."""
        self.start()
        return self.wait()

    def wait(self) -> dict[str, Any]:
        eventually(lambda: not self.directory.is_alive(), "the runner did not leave", self.story)
        end = self.directory.exit()
        assert end is not None, self.story()
        return end

    def until_it_trains(self, step: int = 1) -> None:
        eventually(
            lambda: (self.directory.progress() or {}).get("step", 0) >= step, "no step was done", self.story
        )

    def until_it_says(self, text: str) -> None:
        eventually(lambda: bool(self.said(text)), f"nobody said {text!r}", self.story)

    def said(self, text: str) -> list[str]:
        return [line.text for line in self.directory.search(text, limit=1000)[0]]

    def story(self) -> str:
        """What there is to read when a test fails."""
        log = self.directory.path / "runner.log"
        said = log.read_text() if log.exists() else ""
        return "\n".join([said, *(f"{line.stream} {line.text}" for line in self.directory.tail_log(50)[0])])

    def runner_pid(self) -> int:
        runner = self.directory.runner()
        assert runner is not None
        pid: int = runner["pid"]
        return pid

    def kill_runner(self) -> None:
        pid = self.runner_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: read_process(pid) is None or not self.directory.is_alive(), "the runner did not die"
        )

    def processes(self) -> list[Any]:
        return find_processes(self.directory.path)

    def close(self) -> None:
        """Leave nothing behind, however the test went."""
        if self.directory.is_alive() and self.directory.runner() is not None:
            self.kill_runner()
        assert end_processes(self.directory.path, 0.1) == []


def events(server: RedisServer, run: str) -> list[dict[str, Any]]:
    """The events of this run in their order, each once, as a reader sees them that goes by the version."""
    found: dict[int, dict[str, Any]] = {}
    with server.client() as client:
        for _, fields in client.xrange(EVENTS):
            event = json.loads(fields["j"])
            assert fields["type"] == event["type"]
            if event["subject"] == run:
                assert event["version"] in {len(found) + 1, *found}, f"out of order: {event}"
                assert found.setdefault(event["version"], event) == event
    return list(found.values())


def followed_log(server: RedisServer, run: str) -> str:
    """The log as a follower gets it, who drops what it has seen; a hole fails the test."""
    text, end = "", 0
    with server.client() as client:
        for _, fields in client.xrange(TAIL):
            if fields["run"] != run or fields["kind"] != "log" or int(fields["end"]) <= end:
                continue
            assert int(fields["start"]) == end, f"a hole between {end} and {fields['start']}"
            text += fields["d"]
            end = int(fields["end"])
    return text


def log_on_disk(directory: RunDir) -> str:
    return b"".join(data for _, data in directory.log.blocks()).decode()
