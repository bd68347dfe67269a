"""The progress of a run: read from the training, written to its directory, handed to the publisher."""

from __future__ import annotations

from typing import Any

from swiftletd.runner.console import Console
from swiftletd.runner.progress import ENDED, PHASE_AT_START, Progress, TrainingTail
from swiftletd.runner.publisher import Publisher
from swiftletd.runner.rundir import RunDir
from swiftletd.runner.spec import Step
from swiftletd.runner.steps import TRAIN, Outcome, output_directory


class Reporter:
    """Knows how far the run is."""

    def __init__(self, directory: RunDir, publisher: Publisher, console: Console) -> None:
        self._directory = directory
        self._publisher = publisher
        self._console = console
        self._progress = Progress()
        self._tail: TrainingTail | None = None
        self._warned = False

    def begin(self, step: Step) -> None:
        """Follow this step from now on."""
        self._tail = TrainingTail(output_directory(step)) if step.name == TRAIN else None
        self._advance({"phase": PHASE_AT_START.get(step.name, step.name)})
        self._write()

    def poll(self) -> None:
        """Take in what the training wrote since the last time."""
        if self._tail is None:
            return
        before = self._progress.seq
        for changes in self._tail.poll():
            self._advance(changes)
        self._warn()
        if self._progress.seq != before:
            self._write()

    def end(self) -> None:
        """The run is over."""
        self._advance({"phase": ENDED, "remaining": 0.0})
        self._write()

    def outcome(self, exit_code: int, stopped: str) -> Outcome:
        """What was seen of the step that just ended."""
        self.poll()
        tail = self._tail
        if tail is None:
            return Outcome(exit_code=exit_code, stopped=stopped)
        return Outcome(
            exit_code=exit_code,
            stopped=stopped,
            trained=tail.trained,
            final_loss=tail.final_loss,
            checkpoints=self._progress.checkpoints,
        )

    def _advance(self, changes: dict[str, Any]) -> None:
        after = self._progress.changed(**changes)
        if after is not self._progress:
            self._progress = after
            self._publisher.add_progress(after)

    def _write(self) -> None:
        try:
            self._directory.write_progress(self._progress.to_json())
        except OSError:
            # A full disk: the next change tries again, and the training has worse trouble.
            return

    def _warn(self) -> None:
        if self._tail is not None and self._tail.diverged and not self._warned:
            self._warned = True
            self._console.say("The loss is no number any more: the training has diverged.")
