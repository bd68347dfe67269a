"""What a person types: up, status, logs, backup, down; and what they are told when it can't work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.redis import RedisServer, free_port
from support.suite import SWIFTLETD
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)
MEMBERS = ["redis", "gpu", "training", "deploy", "envoy"]


class Shell:
    """Types commands for one home; knows every process of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "h"
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("REDIS_")},
            "SWIFTLET_HOME": str(self.home),
            "APP_PORT": str(self.port),
        }

    def types(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SWIFTLETD, *words],
            cwd=self.directory,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def status(self) -> dict[str, dict]:
        """Processes by name."""
        facts = json.loads(self.types("status", "--json").stdout)
        return {process["name"]: process for process in facts["processes"]}

    def processes(self) -> list[psutil.Process]:
        """All processes on this machine that belong to the home."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("SWIFTLET_HOME") == str(self.home)
        except psutil.Error:
            return False


@pytest.fixture
def shell() -> Iterator[Shell]:
    directory = Path(tempfile.mkdtemp(prefix="swl"))
    shell = Shell(directory)
    yield shell
    shell.types("down")
    for process in shell.processes():
        process.kill()
    shutil.rmtree(directory)


def test_a_day_with_the_suite(shell, tmp_path):
    # It starts, says where everything is, and everything answers
    started = shell.types("up", "--detach")
    assert started.returncode == 0, started.stderr
    assert f"Swiftlet is up at http://127.0.0.1:{shell.port}" in started.stdout
    assert shell.types("status").returncode == 0
    status = shell.status()
    assert list(status) == ["suite", *MEMBERS]
    assert all(status[name]["answers"] and status[name]["state"] == "healthy" for name in MEMBERS)
    assert all(status[name]["pid"] and status[name]["memory"] > 0 for name in MEMBERS)

    # Only its owner can look into it
    assert shell.home.stat().st_mode & 0o777 == 0o700

    # Once more in the background is no error; in the foreground it is, and says who runs
    again = shell.types("up", "--detach")
    assert again.returncode == 0
    assert f"pid {status['suite']['pid']}" in again.stdout
    foreground = shell.types("up")
    assert foreground.returncode == 1
    assert f"pid {status['suite']['pid']}" in foreground.stderr
    elsewhere = shell.types("up", "--detach", APP_PORT=str(free_port()))
    assert elsewhere.returncode == 1

    # Logs and a backup, while it runs
    assert "redis: starting -> healthy" in shell.types("logs", "suite").stdout
    unknown = shell.types("logs", "nobody")
    assert (unknown.returncode, "suite" in unknown.stderr) == (1, True)
    saved = shell.types("backup", "--runs", str(tmp_path / "all.tar.gz"))
    assert saved.returncode == 0, saved.stderr
    refused = shell.types("restore", str(tmp_path / "all.tar.gz"))
    assert refused.returncode == 1
    assert "swiftletd down" in refused.stderr

    # It stops, leaves nothing behind, and stopping twice is no error
    assert shell.types("down").returncode == 0
    assert shell.processes() == []
    assert shell.types("status").returncode == 3
    assert shell.types("down").returncode == 0
    restored = shell.types("restore", str(tmp_path / "all.tar.gz"))
    assert restored.returncode == 0, restored.stderr
    assert shell.processes() == []


def test_a_killed_supervisor_is_no_obstacle(shell):
    assert shell.types("up", "--detach").returncode == 0
    before = shell.status()
    os.kill(before["suite"]["pid"], signal.SIGKILL)
    eventually(lambda: shell.types("status").returncode == 3, "the status is wrong")

    again = shell.types("up", "--detach")

    assert again.returncode == 0, again.stderr
    assert again.stdout.count("left behind by a suite that was killed") == len(MEMBERS)
    after = shell.status()
    assert not any(psutil.pid_exists(before[name]["pid"]) for name in MEMBERS)
    assert all(after[name]["answers"] for name in MEMBERS)

    os.kill(after["suite"]["pid"], signal.SIGKILL)
    assert shell.types("down").returncode == 0
    assert shell.processes() == []


def test_ctrl_c_stops_it(shell):
    up = subprocess.Popen(
        [SWIFTLETD, "up"],
        cwd=shell.directory,
        env=shell.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert up.stdout is not None
    eventually(lambda: "Swiftlet is up" in up.stdout.readline(), "it is not up")
    os.killpg(up.pid, signal.SIGINT)
    assert up.wait(30) == 0
    up.stdout.close()
    assert shell.processes() == []


def test_a_redis_of_your_own_is_used(shell, private_redis_with_password: RedisServer):
    started = shell.types("up", "--detach", REDIS_URL=private_redis_with_password.tcp_url)
    assert started.returncode == 0, started.stderr
    assert list(shell.status()) == ["suite", *MEMBERS[1:]]
    with private_redis_with_password.client() as redis:
        assert redis.keys("swiftlet:*")
    assert shell.types("down").returncode == 0
    private_redis_with_password.client().ping()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_PORT", "http"),
        ("APP_HOST", "example"),
        ("API_PREFIX", "api"),
        ("ENVIRONMENT", "production"),
        ("LOG_LEVEL", "LOUD"),
        ("REDIS_PORT", "0"),
        ("SWIFTLET_HOME", "/tmp/" + "x" * 100),
        ("SWIFTLET_HOME", "/proc/1/home"),
        ("TRAINER_PYTHON", "/nowhere/python"),
        ("GPU_MEMORY_THRESHOLD", "30"),
        ("DEFAULT_TRAINING_TIMEOUT", "-1"),
        ("DEPLOY_PORTS", "80"),
        ("GATEWAY_WORKERS", "0"),
        ("REDIS_URL", "redis://:topsecret@127.0.0.1:1/0"),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(shell, name, value):
    refused = shell.types("up", "--detach", **{name: value})
    assert refused.returncode == 1
    assert name in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "topsecret" not in refused.stderr
    assert shell.processes() == []


def test_a_port_that_is_taken_is_named(shell):
    with socket.create_server(("127.0.0.1", shell.port)):
        refused = shell.types("up", "--detach")
    assert refused.returncode == 1
    assert f"APP_PORT: can't listen on 127.0.0.1:{shell.port}: Address already in use" in refused.stderr


def test_settings_come_from_the_file_of_the_environment_too(shell):
    env = shell.directory / "env"
    env.mkdir()
    (env / ".env.test").write_text("APP_PORT=nonsense\n")
    del shell.environment["APP_PORT"]
    refused = shell.types("up", "--detach", ENVIRONMENT="test")
    assert refused.returncode == 1
    assert "APP_PORT" in refused.stderr
