"""What is decided about a step: what its words mean, and how its end is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from swiftletd.runner.spec import Step

TRAIN, EXPORT, SERVE = "train", "export", "serve"

# As a shell reports a command that it can't start.
CANNOT_START = 127


class PlaceholderError(ValueError):
    """A word of the command names something that this run does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnd:
    """How a step ended, as steps.jsonl has it.

    exit_code is negative for a signal. stopped is why it was asked to end; empty if it was not. seconds is
    how long it ran. pid is 0 if it could not be started.
    """

    step: str
    exit_code: int
    success: bool
    result_path: str
    final_loss: float
    seconds: float
    stopped: str
    pid: int
    started_at: str
    ended_at: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was seen of a step that ended. trained: the final row is in the log of the training."""

    exit_code: int
    stopped: str
    trained: bool = False
    final_loss: float = 0.0
    checkpoints: tuple[str, ...] = ()


def is_success(step: Step, outcome: Outcome) -> bool:
    """A training that was asked to stop saves, leaves with 0 and writes its final row: that is no success."""
    if outcome.exit_code != 0 or outcome.stopped:
        return False
    return outcome.trained or step.name != TRAIN


def result_path(step: Step, outcome: Outcome) -> str:
    """The last checkpoint of a training, however it ended: a next attempt can go on from it."""
    if step.name == TRAIN:
        return outcome.checkpoints[-1] if outcome.checkpoints else ""
    return step.output_dir if is_success(step, outcome) else ""


def fill(word: str, values: dict[str, Callable[[], str]]) -> str:
    """Put values in place of `{name}`. Other braces stay: words may hold JSON. Raises PlaceholderError."""
    for name, value in values.items():
        placeholder = "{" + name + "}"
        if placeholder in word:
            word = word.replace(placeholder, value())
    return word


def output_directory(step: Step) -> Path:
    """Where the step writes; a relative path is below its working directory, as the child sees it."""
    return Path(step.cwd) / step.output_dir
