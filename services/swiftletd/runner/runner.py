"""The order of things in a run: its steps one after the other, and the truth about its end."""

from __future__ import annotations

import os
import signal

from swiftletd.runner.clock import now
from swiftletd.runner.complaints import complain
from swiftletd.runner.console import Console
from swiftletd.runner.ending import LEFTOVER_SECONDS, Ending
from swiftletd.runner.log import LogWriter
from swiftletd.runner.persisting import persist
from swiftletd.runner.processes import become_subreaper, boot_id, has_children, read_process
from swiftletd.runner.publisher import Publisher
from swiftletd.runner.reporting import Reporter
from swiftletd.runner.rundir import RunDir
from swiftletd.runner.spec import Spec
from swiftletd.runner.stepping import StepRunner
from swiftletd.runner.steps import StepEnd
from swiftletd.runner.stopping import StopRequest

# So long a runner waits, after its run has ended, for a Redis that is away. The directory keeps it all
# anyway: a runner that is started again says the rest.
LINGER_SECONDS = 3600.0
# So long a run that is about to begin waits for its first word from Redis: its lease can have ended while its
# service was away. A Redis that is away doesn't keep it from running.
FIRST_WORD_SECONDS = 1.0


class Runner:
    """Runs one directory, whose lock the caller holds. Each attempt runs once.

    A directory in which a runner has begun before is not run again. If it has ended, what Redis has not
    heard yet is published. If not, the earlier runner died: what it left behind is ended, and the run is
    marked as lost.
    """

    def __init__(self, directory: RunDir, spec: Spec) -> None:
        self._directory = directory
        self._spec = spec
        self._publisher = Publisher(directory, spec, lambda word: self._stop.ask(word))
        self._log = LogWriter(directory.path / "log")
        self._console = Console(self._log, self._publisher.notify_log)
        self._stop = StopRequest(directory, self._console.wake)
        self._ending = Ending(directory.path, self._console)
        self._reporter = Reporter(directory, self._publisher, self._console)

    def run(self) -> None:
        """Work until nothing is left to do or to say."""
        self._catch_signals()
        if self._directory.exit() is None:
            self._live()
        else:
            self._publisher.start()
        if not self._publisher.finish(LINGER_SECONDS):
            complain("Redis did not come back. What it has not heard is in this directory.")

    def _live(self) -> None:
        become_subreaper()
        known = self._directory.runner()
        if known is None:
            self._write_down_who_runs()
        self._publisher.start()
        if known is None:
            self._work()
        else:
            self._bury()
        self._log.close()

    def _write_down_who_runs(self) -> None:
        me = read_process(os.getpid())
        assert me is not None
        record = {"pid": me.pid, "start_time": me.start_time, "boot_id": boot_id(), "started_at": now()}
        persist(self._directory, lambda: self._directory.write_runner(record))

    def _work(self) -> None:
        success = False
        try:
            self._publisher.ask_first(FIRST_WORD_SECONDS)
            self._stop.begin(self._spec.time_limit)
            success = self._run_steps()
        finally:
            # Also after a bug of our own: processes that nobody watches are worse than a failed run.
            if has_children():
                self._ending.clear(None, grace=0.0)
            self._finish(success=success)

    def _bury(self) -> None:
        self._console.say("The runner of this run died. What it left behind is ended, and the run is lost.")
        self._stop.word = self._directory.stop_word() or ""
        self._ending.clear(None, grace=min(self._spec.grace_seconds, LEFTOVER_SECONDS))
        self._finish(success=False, lost=True)

    def _run_steps(self) -> bool:
        """True if all of them succeeded."""
        runner = StepRunner(
            self._spec,
            directory=self._directory,
            console=self._console,
            ending=self._ending,
            publisher=self._publisher,
            reporter=self._reporter,
            stop=self._stop,
        )
        for step in self._spec.steps:
            self._stop.look()
            if self._stop.word:
                return False
            end = runner.run(step)
            self._write_down(end)
            if not end.success:
                return False
        # A word that came too late has stopped nothing.
        self._stop.word = ""
        return True

    def _write_down(self, end: StepEnd) -> None:
        how = "succeeded" if end.success else f"was stopped ({end.stopped})" if end.stopped else "failed"
        self._console.say(f"Step {end.step} {how}: exit code {end.exit_code} after {end.seconds:.1f} s.")
        persist(self._directory, lambda: self._directory.add_step(end.to_json()))
        self._publisher.notify_event()

    def _finish(self, *, success: bool, lost: bool = False) -> None:
        self._reporter.end()
        record = {"success": success, "stopped": self._stop.word, "ended_at": now(), "lost": lost}
        persist(self._directory, lambda: self._directory.write_exit(record))

    def _catch_signals(self) -> None:
        """Handlers and not SIG_IGN, which the child would inherit."""
        signal.signal(signal.SIGTERM, lambda number, frame: self._stop.terminate())
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, lambda number, frame: None)
