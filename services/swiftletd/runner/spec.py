"""What a run is to do, as the service wrote it into spec.json."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class SpecError(ValueError):
    """spec.json is not as it must be; the message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command. `train` is followed by its logging.jsonl in output_dir."""

    name: str
    argv: tuple[str, ...]
    cwd: str
    output_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A run: its steps in order, and how it is to be ended.

    time_limit and grace_seconds are seconds; a time_limit of 0 is none. With jit_checkpoint a stop asks the
    trainers alone first, so that they can save.
    """

    run: str
    kind: str
    owner: str
    attempt: int
    token: int
    redis_url: str = field(repr=False)
    time_limit: float
    grace_seconds: float
    jit_checkpoint: bool
    env: dict[str, str] = field(repr=False)
    steps: tuple[Step, ...]


def parse_spec(value: Any) -> Spec:
    """Read what spec.json holds. Raises SpecError."""
    if not isinstance(value, dict):
        raise SpecError("spec.json is missing" if value is None else "spec.json must hold an object")
    take = _Taker(value, "")
    spec = Spec(
        run=take.text("run"),
        kind=take.text("kind"),
        owner=take.text("owner"),
        attempt=take.integer("attempt"),
        token=take.integer("token"),
        redis_url=take.text("redis_url"),
        time_limit=take.seconds("time_limit"),
        grace_seconds=take.seconds("grace_seconds"),
        jit_checkpoint=bool(value.get("jit_checkpoint", False)),
        env=_environment(value.get("env", {})),
        steps=_steps(value.get("steps")),
    )
    if not _NAME.fullmatch(spec.run):
        raise SpecError("run must be letters, digits, dots, dashes and underscores")
    return spec


def _steps(value: Any) -> tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise SpecError("steps must be a list with at least one step")
    return tuple(_step(item, f"steps[{index}].") for index, item in enumerate(value))


def _step(value: Any, path: str) -> Step:
    if not isinstance(value, dict):
        raise SpecError(f"{path[:-1]} must be an object")
    argv = value.get("argv")
    if not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv):
        raise SpecError(f"{path}argv must be a list of words")
    take = _Taker(value, path)
    return Step(
        name=take.text("name"),
        argv=tuple(argv),
        cwd=take.text("cwd"),
        output_dir=value.get("output_dir") or "",
    )


def _environment(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(word, str) for word in value.values()):
        raise SpecError("env must be an object of texts")
    return dict(value)


@dataclass(frozen=True, slots=True)
class _Taker:
    value: dict[str, Any]
    path: str

    def text(self, name: str) -> str:
        found = self.value.get(name)
        if not isinstance(found, str) or not found:
            raise SpecError(f"{self.path}{name} must be a text")
        return found

    def integer(self, name: str) -> int:
        found = self.value.get(name)
        if not isinstance(found, int) or isinstance(found, bool):
            raise SpecError(f"{self.path}{name} must be a whole number")
        return found

    def seconds(self, name: str) -> float:
        found = self.value.get(name)
        if (
            not isinstance(found, int | float)
            or isinstance(found, bool)
            or not math.isfinite(found)
            or found < 0
        ):
            raise SpecError(f"{self.path}{name} must be a number of seconds, 0 or more")
        return float(found)
