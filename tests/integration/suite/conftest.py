"""A small suite of real processes in a home of its own: Redis and two stand-ins."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.redis import free_port
from support.waiting import eventually
from swiftletd.suite import broker, record
from swiftletd.suite.home import Home
from swiftletd.suite.plan import Plan, Program, Readiness
from swiftletd.suite.process import Process, end_all

STANDIN = Path(__file__).with_name("standin.py")


class SmallSuite:
    """`python -m swiftletd.suite.supervise` on a plan of the test's making."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.port = free_port()
        self.supervisor: subprocess.Popen[str] | None = None
        self._seen: set[Process] = set()

    @property
    def redis(self) -> Program:
        return broker.program(self.home, broker.server_binary(), 0)

    @property
    def service(self) -> Program:
        target = f"unix:{self.home.run}/gpu.sock"
        return self.standin(
            "gpu", "grpc", target, ready=Readiness(kind="grpc", address=target), after=("redis",)
        )

    @property
    def front(self) -> Program:
        return self.page("envoy", "http", after=("gpu",))

    def page(self, name: str, kind: str, **more) -> Program:
        ready = Readiness(kind="http", address=f"http://127.0.0.1:{self.port}/")
        return self.standin(name, kind, str(self.port), ready=ready, **more)

    def standin(self, name: str, *words: str, **more) -> Program:
        return Program(name=name, argv=(sys.executable, str(STANDIN), *words), **more)

    def start(self, *programs: Program) -> None:
        logs = self.home.path / "logs"
        logs.mkdir(exist_ok=True)
        address = f"http://127.0.0.1:{self.port}"
        plan = Plan(home=str(self.home.path), logs=str(logs), address=address, programs=programs)
        plan.write(self.home.plan)
        command = [sys.executable, "-m", "swiftletd.suite.supervise", str(self.home.path)]
        self.supervisor = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def start_all(self) -> None:
        """Redis, a service and a gateway; returns when they are healthy."""
        self.start(self.redis, self.service, self.front)
        eventually(self.is_up, "the suite is not up", self.log)

    def is_up(self) -> bool:
        self._look()
        found = record.read(self.home.record)
        members = found.members if found else ()
        return bool(members) and all(
            member.state == "healthy" and member.process is not None and member.process.is_alive
            for member in members
        )

    def process(self, name: str) -> Process:
        self._look()
        found = record.read(self.home.record)
        assert found is not None, "there is no record"
        member = next(member for member in found.members if member.name == name)
        assert member.process is not None, f"{name} does not run"
        return member.process

    def signal(self, number: signal.Signals) -> None:
        assert self.supervisor is not None
        self._look()
        self.supervisor.send_signal(number)

    def wait(self) -> tuple[int, str, str]:
        """Exit code and output of the supervisor."""
        assert self.supervisor is not None
        out, err = self.supervisor.communicate(timeout=30)
        return self.supervisor.returncode, out, err

    def log(self, name: str = "suite") -> str:
        return (self.home.path / "logs" / f"{name}.log").read_text()

    def left(self) -> set[Process]:
        """The processes that were seen and are still there."""
        return {process for process in self._seen if process.is_alive}

    def close(self) -> None:
        if self.supervisor is not None:
            self.supervisor.kill()
            self.supervisor.communicate()
        self._look()
        end_all(self.left(), 1.0)
        self.home.end_leftovers()

    def _look(self) -> None:
        found = record.read(self.home.record)
        self._seen |= set(found.processes if found else [])


@pytest.fixture
def short_home() -> Iterator[Home]:
    """A home whose path leaves room for the name of a socket."""
    home = Home(Path(tempfile.mkdtemp(prefix="swl-")))
    home.make()
    yield home
    shutil.rmtree(home.path)


@pytest.fixture
def suite(short_home: Home) -> Iterator[SmallSuite]:
    small = SmallSuite(short_home)
    yield small
    small.close()


@pytest.fixture
def bystander() -> Iterator[Callable[..., Process]]:
    """Starts a process in a session of its own that does nothing, as a runner would be."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> Process:
        child = subprocess.Popen(["sleep", "600"], env={**os.environ, **environment}, start_new_session=True)
        started.append(child)
        process = Process.of(child.pid)
        assert process is not None
        return process

    yield start
    for child in started:
        child.kill()
        child.wait()
