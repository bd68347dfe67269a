"""One step from its start to the proof that nothing of it lives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

from swiftletd.runner.child import Child, child_environment
from swiftletd.runner.clock import now
from swiftletd.runner.console import Console
from swiftletd.runner.ending import LEFTOVER_SECONDS, Ending
from swiftletd.runner.persisting import persist
from swiftletd.runner.ports import PortClaim, claim_port
from swiftletd.runner.processes import reap_orphans
from swiftletd.runner.publisher import Publisher
from swiftletd.runner.reporting import Reporter
from swiftletd.runner.rundir import RunDir
from swiftletd.runner.spec import Spec, Step
from swiftletd.runner.steps import (
    CANNOT_START,
    TRAIN,
    Outcome,
    PlaceholderError,
    StepEnd,
    fill,
    is_success,
    result_path,
)
from swiftletd.runner.stopping import StopRequest

TICK_SECONDS = 1.0


class StepRunner:
    """Runs the steps of one run, each when it is asked to."""

    def __init__(
        self,
        spec: Spec,
        *,
        directory: RunDir,
        console: Console,
        ending: Ending,
        publisher: Publisher,
        reporter: Reporter,
        stop: StopRequest,
    ) -> None:
        self._spec = spec
        self._directory = directory
        self._console = console
        self._ending = ending
        self._publisher = publisher
        self._reporter = reporter
        self._stop = stop
        self._checkpoint = ""
        self._port: PortClaim | None = None

    def run(self, step: Step) -> StepEnd:
        began, started_at = time.monotonic(), now()
        pid = 0
        try:
            step = self._filled(step)
            self._reporter.begin(step)
            child = self._start(step, started_at)
        except (OSError, ValueError) as error:
            self._console.say(f"Step {step.name} could not be started: {error}")
            outcome = Outcome(exit_code=CANNOT_START, stopped="")
        else:
            pid = child.pid
            outcome = self._follow(child)
        result = fill(result_path(step, outcome), {"checkpoint": self._last_checkpoint})
        if step.name == TRAIN:
            self._checkpoint = result
        return StepEnd(
            step=step.name,
            exit_code=outcome.exit_code,
            success=is_success(step, outcome),
            result_path=result,
            final_loss=outcome.final_loss,
            seconds=round(time.monotonic() - began, 3),
            stopped=outcome.stopped,
            pid=pid,
            started_at=started_at,
            ended_at=now(),
        )

    def _start(self, step: Step, started_at: str) -> Child:
        wanted = {
            name: fill(value, {"master_port": self._master_port}) for name, value in self._spec.env.items()
        }
        marked = child_environment(self._spec.run, self._directory.path, wanted, os.environ)
        child = Child(step.argv, cwd=step.cwd, env=marked)
        self._console.follow(child)
        self._console.say(f"Step {step.name} started as process {child.pid}.")
        record = {
            "step": step.name,
            "pid": child.pid,
            "start_time": child.start_time,
            "started_at": started_at,
        }
        persist(self._directory, lambda: self._directory.write_child(record))
        self._publisher.notify_event()
        return child

    def _filled(self, step: Step) -> Step:
        values = self._placeholders()
        argv = tuple(fill(word, values) for word in step.argv)
        return replace(step, argv=argv, output_dir=fill(step.output_dir, values))

    def _follow(self, child: Child) -> Outcome:
        """Until it ends, or has been ended; nothing of it lives when this returns."""
        try:
            self._wait(child)
            stopped = ""
            if child.exit_code is None:
                stopped = self._stop.word
                self._console.say(f"Stopping the run: {stopped}.")
                self._ending.ask(
                    child, trainers_only=self._spec.jit_checkpoint, grace=self._spec.grace_seconds
                )
            self._ending.clear(child, grace=self._grace_for_leftovers(child, stopped))
        except BaseException:
            self._ending.clear(child, grace=0.0)
            raise
        finally:
            self._console.drain(child)
        exit_code = child.exit_code
        assert exit_code is not None
        return self._reporter.outcome(exit_code, stopped)

    def _wait(self, child: Child) -> None:
        """Until the child ends by itself or is to be stopped."""
        next_tick = 0.0
        while child.exit_code is None and not self._stop.word:
            self._console.pump(max(0.0, next_tick - time.monotonic()))
            if time.monotonic() >= next_tick or self._stop.is_urgent:
                self._stop.look()
                self._reporter.poll()
                reap_orphans(but=child.pid)
                next_tick = time.monotonic() + TICK_SECONDS

    def _grace_for_leftovers(self, child: Child, stopped: str) -> float:
        """Workers of a trainer that has just ended need a moment; those that were asked have had theirs."""
        if child.exit_code is None or (stopped and not self._spec.jit_checkpoint):
            return 0.0
        return min(LEFTOVER_SECONDS, self._spec.grace_seconds)

    def _placeholders(self) -> dict[str, Callable[[], str]]:
        return {
            "master_port": self._master_port,
            "checkpoint": self._last_checkpoint,
            "port": self._server_port,
        }

    def _master_port(self) -> str:
        """One port for the whole run, claimed when it is first needed and held until the runner ends."""
        if self._port is None:
            self._port = claim_port()
        return str(self._port.port)

    def _last_checkpoint(self) -> str:
        if not self._checkpoint:
            raise PlaceholderError("{checkpoint} needs a training before it that saved a checkpoint")
        return self._checkpoint

    def _server_port(self) -> str:
        port = self._spec.env.get("SWIFTLET_PORT", "")
        if not port:
            raise PlaceholderError("{port} needs SWIFTLET_PORT in env")
        return port
