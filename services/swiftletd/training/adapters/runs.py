"""The runs of training jobs on this machine: their directories, runners and logs."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog

from swiftletd.runner import rundir
from swiftletd.runner.rundir import LogLine, RunDir
from swiftletd.training.adapters.checkpoints import last_whole
from swiftletd.training.adapters.swift_schema import SwiftSchema, TrainerMissing
from swiftletd.training.domain.command import (
    CHECKPOINT,
    Command,
    Trainer,
    TrainingTask,
    export_command,
    job_output_dir,
    train_command,
)
from swiftletd.training.domain.decide import StepResult
from swiftletd.training.domain.extra_args import many_flags
from swiftletd.training.domain.job import Job, Lease
from swiftletd.training.domain.log_level import level as level_of
from swiftletd.training.domain.params import restore_params
from swiftletd.training.ports import LaunchFailed, Line, LogPage, RunReport

log = structlog.get_logger()

TAIL_BYTES = 64 * 1024  # of a log, for the diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """What every run of this service is started with. Seconds."""

    runs: Path
    trainer_python: Path
    redis_url: str
    grace_seconds: float


class LocalRuns:
    """See ports.Runs."""

    def __init__(self, launching: Launching, schema: SwiftSchema) -> None:
        self._launching, self._schema = launching, schema
        self._home = launching.runs / "training"
        self._place = str(self._home.absolute())
        self._dirs = rundir.RunDirs()
        self._launcher = rundir.Launcher(sys.executable)

    def _dir(self, job_id: str, entry: str) -> RunDir:
        # "export.2" is in export-2, where it was when it was called that too: a runner may still be there.
        name = entry.removeprefix(f"training-{job_id}-").replace(".", "-")
        return self._dirs[self._home / job_id / name]

    # ---------------------------------------------------------------- starting and stopping

    async def launch_training(self, job: Job, number: int, lease: Lease) -> None:
        await asyncio.to_thread(self._launch_training, job, number, lease)

    def _launch_training(self, job: Job, number: int, lease: Lease) -> None:
        params, trainer = restore_params(job.trainer_type, job.params), self._trainer
        output = job_output_dir(job.output_dir, job.id, number)
        task = TrainingTask(
            method=job.method,
            params=params,
            model=job.model_path,
            dataset=job.data_path,
            output_dir=output,
            many=many_flags(self._schema.installation(), job.method),
            keep_optimizer=job.max_retries > 0,
            resume_from=next((a.resumed_from or "" for a in job.attempts if a.number == number), ""),
        )
        gpus = tuple(filter(None, lease.visible_devices.split(",")))
        steps = [_step("train", train_command(task, trainer, gpus), self._launching.runs, output)]
        if export := export_command(params, trainer, gpus):
            steps.append(_step("export", export, self._launching.runs, f"{CHECKPOINT}-merged"))
        self._start(job, job.entry(number), number, lease.token, steps, job.time_limit)

    async def launch_export(self, job: Job, entry: str) -> None:
        await asyncio.to_thread(self._launch_export, job, entry)

    def _launch_export(self, job: Job, entry: str) -> None:
        params, target = (
            restore_params(job.trainer_type, job.params),
            f"{job.checkpoint_path}-merged-{job.exports}",
        )
        command = export_command(params, self._trainer, checkpoint=job.checkpoint_path, output_dir=target)
        if command is None:
            raise LaunchFailed(
                "There is nothing to merge: the checkpoint itself is the exported model.", "WRONG_STATE"
            )
        step = _step("export", command, self._launching.runs, target)
        self._start(job, entry, job.exports, 0, [step], 0.0)

    @cached_property
    def _trainer(self) -> Trainer:
        try:
            version = self._schema.installation().version
        except TrainerMissing as error:
            raise LaunchFailed(str(error)) from None
        return Trainer(python=str(self._launching.trainer_python), version=version)

    def _start(
        self, job: Job, entry: str, attempt: int, token: int, steps: list[dict[str, Any]], time_limit: float
    ) -> None:
        run, env = self._dir(job.id, entry), steps[0].pop("env")
        for step in steps[1:]:
            step.pop("env", None)
        spec = {
            "run": entry,
            "kind": "training",
            "owner": job.id,
            "attempt": attempt,
            "token": token,
            "redis_url": self._launching.redis_url,
            "time_limit": time_limit,
            "grace_seconds": self._launching.grace_seconds,
            "env": env,
            "steps": steps,
        }
        try:
            rundir.begin(self._launcher, run, spec)
        except (OSError, rundir.LaunchError) as error:
            raise LaunchFailed(str(error), "PROCESS_FAILED") from error

    async def last_checkpoint(self, job: Job, number: int) -> str:
        return await asyncio.to_thread(_last_checkpoint, job, number)

    async def stop(self, job_id: str, entry: str, word: str) -> None:
        await asyncio.to_thread(self._dir(job_id, entry).request_stop, word)

    async def bury(self, job_id: str, entry: str) -> None:
        await asyncio.to_thread(self._bury, self._dir(job_id, entry))

    def _bury(self, run: RunDir) -> None:
        try:
            rundir.bury(self._launcher, run, self._launching.grace_seconds)
        except (OSError, rundir.LaunchError) as error:
            log.warning("burial_failed", run=str(run.path), error=str(error))

    # ---------------------------------------------------------------- looking

    async def report(self, job_id: str, entry: str) -> RunReport:
        return await asyncio.to_thread(self._report, self._dir(job_id, entry))

    def _report(self, run: RunDir) -> RunReport:
        alive = run.is_alive()  # before the steps are read: a runner that ends in between has written them
        steps = tuple(StepResult(**_known(row)) for row in run.steps())
        launched = alive or run.has_begun()
        return RunReport(alive=alive, launched=launched, steps=steps)

    async def known(self) -> Sequence[str]:
        return await asyncio.to_thread(lambda: [path.name for path in self._home.glob("*")])

    async def remove(self, job_id: str) -> bool:
        return await asyncio.to_thread(self._remove, job_id)

    def _remove(self, job_id: str) -> bool:
        home = self._home / job_id
        runs = [RunDir(path) for path in home.glob("*")]
        for run in runs:
            if run.has_begun() and run.exit() is None and not run.is_alive():
                self._launcher.launch(run.path)  # ends what its dead runner left behind
        if alive := [run for run in runs if run.is_alive()]:
            for run in alive:
                run.request_stop(rundir.CANCELLED)
            return False
        shutil.rmtree(home, ignore_errors=True)
        self._dirs.forget(home)
        return True

    def exports(self, job_id: str, entry: str) -> bool:
        spec = self._dir(job_id, entry).spec() or {}
        return any(step["name"] == "export" for step in spec.get("steps", ()))

    async def progress(self, job_id: str, entry: str) -> Mapping[str, Any]:
        return self._dir(job_id, entry).progress() or {}

    # ---------------------------------------------------------------- logs

    def log_of(self, job_id: str, entry: str) -> RunDir:
        """The directory of a run."""
        return self._dir(job_id, entry)

    def log_path(self, job_id: str, entry: str) -> str:
        return f"{self._place}/{job_id}/{entry.removeprefix(f'training-{job_id}-')}/log"

    async def log_tail(self, job_id: str, entry: str) -> str:
        return await asyncio.to_thread(self._log_tail, self._dir(job_id, entry))

    def _log_tail(self, run: RunDir) -> str:
        lines, _ = run.read_log(max(0, run.log_size() - TAIL_BYTES), TAIL_BYTES)
        return "\n".join(line.text for line in lines)

    async def read_log(
        self, job_id: str, entry: str, offset: int, limit: int, *, search: str = "", level: str = ""
    ) -> LogPage:
        run = self._dir(job_id, entry)
        return await asyncio.to_thread(_read, run, offset, limit, search, level)

    async def last_lines(self, job_id: str, entry: str, limit: int) -> LogPage:
        return await asyncio.to_thread(_last, self._dir(job_id, entry), limit)

    async def line_offset(self, job_id: str, entry: str, line: int) -> int:
        return await asyncio.to_thread(self._dir(job_id, entry).line_offset, line)

    async def count_lines(self, job_id: str, entry: str) -> int:
        return await asyncio.to_thread(self._dir(job_id, entry).count_lines)


def _read(run: RunDir, offset: int, limit: int, search: str, level: str) -> LogPage:
    keep = (lambda line: level_of(line.text) == level) if level else None
    lines, end = run.page(offset, limit, text=search, keep=keep)
    return LogPage(_lines(lines), end)


def _last(run: RunDir, limit: int) -> LogPage:
    lines, end = run.tail_log(limit)
    return LogPage(_lines(lines), end)


def _lines(lines: Sequence[LogLine]) -> tuple[Line, ...]:
    return tuple(Line(offset=x.offset, time=x.time, stream=x.stream, text=x.text) for x in lines)


def _step(name: str, command: Command, cwd: Path, output_dir: str) -> dict[str, Any]:
    return {
        "name": name,
        "argv": list(command.argv),
        "cwd": str(cwd),
        "output_dir": output_dir,
        "env": dict(command.env),
    }


def _last_checkpoint(job: Job, number: int) -> str:
    earlier = (attempt.number for attempt in reversed(job.attempts) if attempt.number < number)
    outputs = (Path(job_output_dir(job.output_dir, job.id, each)) for each in earlier)
    return next(filter(None, map(last_whole, outputs)), "")


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of steps.jsonl without what this version doesn't know."""
    return {
        key: value
        for key, value in row.items()
        if key in StepResult.__dataclass_fields__ and value is not None
    }
