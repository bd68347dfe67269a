"""A whole suite for tests: `swiftletd up` in a home of its own, driven through Envoy as a user would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from support.redis import free_port
from support.waiting import eventually
from swiftletd.runner.processes import MARK, environment

ROOT = Path(__file__).parents[2]
SWIFTLETD = Path(sys.executable).with_name("swiftletd")
TRAINER = Path(os.environ.get("TRAINER_PYTHON", ROOT / ".venv-trainer" / "bin" / "python"))
FAKE_SWIFT = ROOT / "tests" / "support" / "fake_swift.py"
API = "/api/v1"


class Suite:
    """A running suite. `api` is an HTTP client for its gateway."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home, self.port = home, free_port()
        self.environment = {
            **os.environ,
            "SWIFTLET_HOME": str(home / "h"),
            "APP_PORT": str(self.port),
            "DEPLOY_PORTS": "21001-21999",
            "STOP_GRACE_SECONDS": "5",
            "RETRY_DELAY_SECONDS": "0.5",
            **environment,
        }
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def up(self) -> None:
        """Start it; returns when it is healthy."""
        self._run("up", "--detach")

    def down(self) -> None:
        """Stop it; running jobs go on."""
        self._run("down")

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [SWIFTLETD, *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"swiftletd {arguments}: {done.stdout}{done.stderr}\n{self.logs()}"

    def logs(self) -> str:
        """The last part of each process's log."""
        files = sorted((self.home / "h" / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in files)

    def pid(self, name: str) -> int:
        """Process id of a part."""
        listed = json.loads((self.home / "h" / "run" / "suite.json").read_text())
        found = next(p for p in listed["members"] if p["name"] == name)
        return int(found["pid"])

    def kill(self, name: str) -> None:
        """End a part as the kernel's OOM killer would; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    def get(self, path: str, **query: Any) -> Any:
        """JSON of a GET that succeeds."""
        reply = self.api.get(API + path, params=query)
        assert reply.status_code == httpx.codes.OK, f"{path}: {reply.status_code} {reply.text}"
        return reply.json()

    def create(self, **body: Any) -> str:
        """A new training job's id."""
        reply = self.api.post(f"{API}/training/jobs", json=body)
        assert reply.status_code == httpx.codes.CREATED, reply.text
        return str(reply.json()["job_id"])

    def job(self, job_id: str) -> Any:
        """A training job."""
        return self.get(f"/training/jobs/{job_id}")

    def wait_for(self, job_id: str, condition: Callable[[Any], bool], seconds: float = 60) -> Any:
        """The job once the condition holds."""
        eventually(
            lambda: condition(self.job(job_id)),
            f"{job_id} isn't as expected",
            lambda: f"{self.job(job_id)}\n{self.logs()}",
            seconds,
        )
        return self.job(job_id)

    def wait_until_gone(self, seconds: float = 30) -> None:
        """Until no process of any run of this suite lives."""
        eventually(
            lambda: not self.processes(), "processes of runs live", lambda: str(self.processes()), seconds
        )

    def processes(self) -> list[psutil.Process]:
        """Everything that runs out of this home: by its words, or by the mark of its run."""
        home = str(self.home)
        return [
            p
            for p in psutil.process_iter(["cmdline"])
            if home in " ".join(p.info["cmdline"] or ()) or environment(p.pid).get(MARK, "").startswith(home)
        ]


def fake_trainer(directory: Path, real_model: Path | None = None) -> Path:
    """The Python of a trainer environment whose ms-swift is the double; flags are those of the real one.

    What is done with `real_model` is done by the real one.
    """
    python = directory / "bin" / "python"
    python.parent.mkdir(parents=True)
    real = f'case " $* " in *" {real_model} "*) exec "{TRAINER}" "$@";; esac\n' if real_model else ""
    python.write_text(f'#!/bin/sh\n{real}exec "{sys.executable}" "{FAKE_SWIFT}" "$@"\n')
    python.chmod(0o755)
    packages = next(TRAINER.parent.parent.glob("lib/python3*/site-packages"))
    link = directory / "lib" / packages.parent.name / "site-packages"
    link.parent.mkdir(parents=True)
    link.symlink_to(packages)
    return python
