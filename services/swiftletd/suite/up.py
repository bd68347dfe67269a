"""`swiftletd up`: everything that can be wrong is found out here, before the supervisor starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from swiftletd.deploy.settings import DeploySettings
from swiftletd.gpu.settings import GpuSettings
from swiftletd.kernel.settings import load
from swiftletd.suite import broker, programs
from swiftletd.suite.commands import complain
from swiftletd.suite.home import Home, HomeError
from swiftletd.suite.logfiles import last_lines, open_log, rotate
from swiftletd.suite.settings import UpSettings
from swiftletd.training.settings import TrainingSettings

LOG_LINES = 15


class CannotStart(Exception):
    """The suite can't start; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A home that is ours, with a plan in it."""

    home: Home
    lock: int
    environment: Mapping[str, str]
    log: Path


def up(settings: UpSettings, *, detach: bool, verbose: bool) -> int:
    """Start the suite of this home: in this process, or in the background until `swiftletd down`."""
    home = Home(settings.home)
    try:
        home.make()
        lock = home.lock()
        if lock is None:
            return _runs_already(home, settings, detach)
        prepared = _prepare(settings, home, lock)
    except (CannotStart, HomeError, broker.BrokerError) as error:
        return complain(str(error))
    if not detach:
        _become_the_supervisor(prepared, verbose)
    return _in_the_background(prepared)


def _runs_already(home: Home, settings: UpSettings, detach: bool) -> int:
    suite = home.suite()
    if suite is None:
        return complain(f"Another `swiftletd` is at work in {home.path}. Try again in a moment.")
    text = f"Swiftlet runs already at {suite.address} (pid {suite.pid}, home {home.path})."
    if detach and suite.address == f"http://{settings.authority}":
        print(text)
        return 0
    return complain(
        f"{text} Stop it with `swiftletd down`, or start another one with its own SWIFTLET_HOME and APP_PORT."
    )


def _prepare(settings: UpSettings, home: Home, lock: int) -> Prepared:
    for process in home.end_leftovers():
        print(f"Ended pid {process.pid}, left behind by a suite that was killed.")
    for kind in (GpuSettings, TrainingSettings, DeploySettings):
        load(kind)  # a wrong value ends the program here, and not three services later
    settings.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_port(settings)
    if broker.is_external(settings):
        for warning in broker.check_external(settings.redis()):
            complain(warning)
    plan = programs.plan(settings)
    plan.write(home.plan)
    for program in plan.programs:
        rotate(plan.log(program.name))
    return Prepared(home, lock, programs.environment(settings, os.environ), plan.log("suite"))


def _check_port(settings: UpSettings) -> None:
    family = socket.AF_INET6 if ":" in settings.app_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.app_host, settings.app_port))
        except OSError as error:
            where = f"{settings.app_host}:{settings.app_port}"
            raise CannotStart(
                f"APP_HOST, APP_PORT: can't listen on {where}: {error.strerror}."
                " Choose another port with APP_PORT, or end what uses this one."
            ) from error


def _command(prepared: Prepared, *options: str) -> list[str]:
    words = [sys.executable, "-P", "-m", "swiftletd.suite.supervise", str(prepared.home.path)]
    return [*words, "--lock", str(prepared.lock), *options]


def _become_the_supervisor(prepared: Prepared, verbose: bool) -> NoReturn:
    os.set_inheritable(prepared.lock, True)
    sys.stdout.flush()
    command = _command(prepared, *(["--verbose"] if verbose else []))
    os.execve(command[0], command, dict(prepared.environment))  # noqa: S606


def _in_the_background(prepared: Prepared) -> int:
    reading, writing = os.pipe()
    log = open_log(prepared.log)
    supervisor = subprocess.Popen(
        _command(prepared, "--announce-to", str(writing)),
        env=dict(prepared.environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(prepared.lock, writing),
        start_new_session=True,
    )
    for descriptor in (writing, log, prepared.lock):
        os.close(descriptor)
    return _wait_for_word(reading, supervisor, prepared.log)


def _wait_for_word(reading: int, supervisor: subprocess.Popen[bytes], log: Path) -> int:
    with os.fdopen(reading, encoding="utf-8") as word:
        verdict, _, text = word.read().partition("\n")
    if verdict == "up":
        print(text, end="")
        return 0
    supervisor.wait()
    if verdict == "failed":
        return complain(text.rstrip())
    return complain(
        "\n".join(["The suite stopped before it was up. Its last words:", *last_lines(log, LOG_LINES)])
    )
