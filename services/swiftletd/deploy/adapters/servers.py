"""Model servers on this machine: their run directories, runners and logs."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from swiftletd.deploy.domain.command import Backend, Command, Server, deploy_command
from swiftletd.deploy.domain.deployment import Attempt, Deployment
from swiftletd.deploy.ports import LaunchFailed, Line, RunReport
from swiftletd.runner import rundir
from swiftletd.runner.rundir import RunDir

log = structlog.get_logger()

STEP = "serve"
TAIL_LINES = 40
_SERVES = re.compile(r"Uvicorn running on http://[^ ]*:(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """What every model server is started with. Seconds."""

    runs: Path
    trainer_python: Path
    redis_url: str
    grace_seconds: float


class LocalServers:
    """See ports.Servers."""

    def __init__(self, launching: Launching) -> None:
        self._launching = launching
        self._home = launching.runs / "deploy"
        self._dirs = rundir.RunDirs()
        self._launcher = rundir.Launcher(sys.executable)

    def _dir(self, entry: str) -> RunDir:
        owner, _, attempt = entry.removeprefix("deploy-").rpartition("-")
        return self._dirs[self._home / owner / attempt]

    async def launch(self, it: Deployment) -> None:
        await asyncio.to_thread(self._launch, it)

    def _launch(self, it: Deployment) -> None:
        assert it.attempt
        run, packages = self._dir(it.entry(it.attempt.number)), self._packages()
        command = self._command(it, it.attempt, packages)
        spec = {
            "run": it.entry(it.attempt.number),
            "kind": "deploy",
            "owner": it.id,
            "attempt": it.attempt.number,
            "token": it.attempt.lease.token,
            "redis_url": self._launching.redis_url,
            "time_limit": 0,
            "grace_seconds": self._launching.grace_seconds,
            "env": {**command.env, "SWIFTLET_PORT": str(it.port)},
            "steps": [
                {"name": STEP, "argv": list(command.argv), "cwd": str(self._launching.runs), "output_dir": ""}
            ],
        }
        try:
            rundir.begin(self._launcher, run, spec)
        except (OSError, rundir.LaunchError) as error:
            raise LaunchFailed(str(error), "PROCESS_FAILED") from error

    def _command(self, it: Deployment, attempt: Attempt, packages: Path) -> Command:
        gpus = tuple(filter(None, attempt.lease.visible_devices.split(",")))
        engine = Backend.VLLM if gpus and (packages / "vllm").is_dir() else Backend.TRANSFORMERS
        adapter = (Path(it.served_path) / "adapter_config.json").is_file()
        server = Server(
            served_model_name=it.served_model_name,
            backend=engine,
            adapter=it.served_path if adapter else "",
            model="" if adapter else it.served_path,
        )
        return deploy_command(server, str(self._launching.trainer_python), _swift_version(packages), gpus)

    def _packages(self) -> Path:
        """Where the trainer environment has its packages."""
        python = self._launching.trainer_python
        found = sorted(python.parent.parent.glob("lib/python3*/site-packages/ms_swift-*.dist-info"))
        if not found:
            raise LaunchFailed(
                f"There is no ms-swift beside {python}. Run `make setup-trainer`, or set TRAINER_PYTHON."
            )
        return found[0].parent

    async def stop(self, entry: str, word: str = "cancelled") -> None:
        await asyncio.to_thread(self._dir(entry).request_stop, word)

    async def bury(self, entry: str) -> None:
        await asyncio.to_thread(self._bury, self._dir(entry))

    def _bury(self, run: RunDir) -> None:
        try:
            rundir.bury(self._launcher, run, self._launching.grace_seconds)
        except (OSError, rundir.LaunchError) as error:
            log.warning("burial_failed", run=str(run.path), error=str(error))

    async def known(self) -> Mapping[str, Sequence[str]]:
        return await asyncio.to_thread(self._known)

    def _known(self) -> dict[str, list[str]]:
        found = defaultdict[str, list[str]](list)
        for path in sorted(self._home.glob("*/*")):
            found[path.parent.name].append(f"deploy-{path.parent.name}-{path.name}")
        return found

    async def remove(self, entry: str) -> None:
        await asyncio.to_thread(self._remove, self._dir(entry))

    def _remove(self, run: RunDir) -> None:
        if run.is_alive():
            run.request_stop(rundir.CANCELLED)
        elif run.has_begun() and run.exit() is None:
            self._bury(run)  # its runner died
        else:
            shutil.rmtree(run.path, ignore_errors=True)
            self._dirs.forget(run.path)
            with suppress(OSError):  # there are other runs
                run.path.parent.rmdir()

    async def report(self, entry: str) -> RunReport:
        return await asyncio.to_thread(_report, self._dir(entry))

    async def announced_port(self, entry: str) -> int:
        lines, _ = await asyncio.to_thread(self._dir(entry).tail_log, TAIL_LINES)
        found = [port[1] for line in lines if (port := _SERVES.search(line.text))]
        return int(found[-1]) if found else 0

    async def explain(self, entry: str, exit_code: int) -> tuple[str, str]:
        lines, _ = await asyncio.to_thread(self._dir(entry).tail_log, TAIL_LINES)
        errors = [line.text for line in lines if "Error" in line.text or "error:" in line.text]
        if exit_code < 0:
            return "KILLED", f"The model server was ended from outside by signal {-exit_code}."
        last = errors[-1][:500] if errors else f"exit code {exit_code}"
        return "PROCESS_FAILED", f"The model server ended: {last}. See its log."

    async def read_log(
        self, entry: str, offset: int, limit: int, search: str = ""
    ) -> tuple[Sequence[Line], int]:
        lines, end = await asyncio.to_thread(self._dir(entry).page, offset, limit, text=search)
        return [Line(line.offset, line.time, line.text) for line in lines], end

    async def tail(self, entry: str, limit: int) -> int:
        lines, end = await asyncio.to_thread(self._dir(entry).tail_log, limit)
        return lines[0].offset if lines and limit > 0 else end

    async def line_offset(self, entry: str, line: int) -> int:
        return await asyncio.to_thread(self._dir(entry).line_offset, line)

    async def count_lines(self, entry: str) -> int:
        return await asyncio.to_thread(self._dir(entry).count_lines)

    def log_of(self, deployment_id: str, entry: str) -> RunDir:
        """The directory of a run."""
        return self._dir(entry)

    def log_path(self, entry: str) -> str:
        return str(self._dir(entry).path / "log")


def _report(run: RunDir) -> RunReport:
    alive = run.is_alive()  # before the steps are read: a runner that ends in between has written them
    steps: list[dict[str, Any]] = run.steps()
    exit_code = steps[-1]["exit_code"] if steps else None
    return RunReport(alive=alive, launched=alive or run.has_begun(), exit_code=exit_code)


def _swift_version(packages: Path) -> str:
    found = next(packages.glob("ms_swift-*.dist-info"))
    return found.name.removeprefix("ms_swift-").removesuffix(".dist-info")
