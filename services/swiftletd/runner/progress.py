"""How far a training is, from the rows that ms-swift adds to logging.jsonl.

Rows of ms-swift 4.x and 3.x differ in a few names; both are read. A row of an earlier attempt in the same
file is never seen: the tail begins where the file ended when the step began.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

LOADING, TRAINING, EXPORTING, SERVING, ENDED = "loading", "training", "exporting", "serving", "ended"
PHASE_AT_START = {"train": LOADING, "export": EXPORTING, "serve": SERVING}

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_DURATION = re.compile(r"(\d+)\s*([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The latest of everything, 0 until known. Times in seconds, gpu_memory in GiB; seq counts changes."""

    seq: int = 0
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    loss: float = 0.0
    eval_loss: float = 0.0
    learning_rate: float = 0.0
    seconds_per_step: float = 0.0
    elapsed: float = 0.0
    remaining: float = 0.0
    gpu_memory: float = 0.0
    checkpoints: tuple[str, ...] = ()
    phase: str = LOADING

    def changed(self, **changes: Any) -> Progress:
        """The next progress, or this one if nothing is new."""
        after = replace(self, **changes)
        return self if after == self else replace(after, seq=self.seq + 1)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_duration(text: str) -> float:
    """Seconds of `1d 2h 3m 4s`, any part of it."""
    return float(sum(int(amount) * _SECONDS[unit] for amount, unit in _DURATION.findall(text)))


def parse_row(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says, in the fields of Progress. A number that is not finite says nothing."""
    numbers = {
        "epoch": row.get("epoch"),
        "loss": row.get("loss"),
        "eval_loss": row.get("eval_loss"),
        "learning_rate": row.get("learning_rate"),
        "seconds_per_step": _seconds_per_step(row),
        "gpu_memory": row.get("memory(GiB)"),
    }
    times = {"elapsed": row.get("elapsed_time"), "remaining": row.get("remaining_time")}
    return {
        **_steps(row.get("global_step/max_steps")),
        **{name: value for name, raw in numbers.items() if (value := finite(raw)) is not None},
        **{name: parse_duration(text) for name, text in times.items() if isinstance(text, str)},
    }


def finite(value: Any) -> float | None:
    """The number, which 3.x and stdout give as text too; None if it is none or not finite."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _steps(text: Any) -> dict[str, int]:
    done, slash, total = str(text or "").partition("/")
    return (
        {"step": int(done), "total_steps": int(total)}
        if slash and done.isdecimal() and total.isdecimal()
        else {}
    )


def _seconds_per_step(row: dict[str, Any]) -> float | None:
    seconds = finite(row.get("train_speed(s/it)"))
    if seconds is not None:
        return seconds
    per_second = finite(row.get("train_speed(iter/s)"))
    return 1 / per_second if per_second else None


def list_checkpoints(output_dir: Path) -> tuple[str, ...]:
    """Paths of the whole checkpoints, oldest first: trainer_state.json is the last file that is written."""
    try:
        names = [entry.name for entry in os.scandir(output_dir)]
    except OSError:
        return ()
    numbered = ((int(match[1]), name) for name in names if (match := _CHECKPOINT.fullmatch(name)))
    paths = (output_dir / name for _, name in sorted(numbered))
    return tuple(str(path) for path in paths if (path / "trainer_state.json").exists())


class TrainingTail:
    """Follows one training. While nothing happens, a poll costs a stat and a look into the directory."""

    def __init__(self, output_dir: Path) -> None:
        self._output_dir = output_dir
        self._file = output_dir / "logging.jsonl"
        self._position = _size(self._file)
        self._rest = b""
        self.final_loss = 0.0
        self.trained = False
        self.diverged = False

    def poll(self) -> Iterator[dict[str, Any]]:
        """What is new, in the fields of Progress: one for each row, and the checkpoints."""
        for row in self._rows():
            self._note(row)
            if changes := parse_row(row):
                yield {**changes, "phase": TRAINING}
        yield {"checkpoints": list_checkpoints(self._output_dir)}

    def _note(self, row: dict[str, Any]) -> None:
        if "train_runtime" in row:
            self.trained = True
            self.final_loss = finite(row.get("train_loss")) or 0.0
        loss = row.get("loss")
        if loss is not None and finite(loss) is None:
            self.diverged = True

    def _rows(self) -> Iterator[dict[str, Any]]:
        size = _size(self._file)
        if size < self._position:
            self._position, self._rest = 0, b""
        if size == self._position:
            return
        with self._file.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            row = _parse_json(line)
            if isinstance(row, dict):
                yield row


def _parse_json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
