"""The names of the older API, and which of several parameter blocks counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from swiftletd.training.domain.param_fields import Method, TrainerType
from swiftletd.training.domain.params import BaseTrainingParams, parse_params
from swiftletd.training.domain.violations import InvalidParams, Violation, did_you_mean, one_of, shown

Block = Mapping[str, Any]

TASK_TYPES: Mapping[TrainerType, tuple[str, ...]] = MappingProxyType(
    {TrainerType.LLM: ("llm", "language_model"), TrainerType.MLLM: ("mllm", "multimodal")}
)
DEFAULT_TASK_TYPE = "multimodal"
BACKWARD_COMPATIBILITY: Mapping[str, str] = MappingProxyType({"language_model": "llm", "multimodal": "mllm"})
_TRAINERS = {word: trainer for trainer, words in TASK_TYPES.items() for word in words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The parameter blocks of a create request; None is a block that was not sent."""

    llm_params: Block | None = None
    mllm_params: Block | None = None
    train_params: Block | None = None


def trainer_type_of(task_type: str) -> TrainerType:
    """The trainer of an old or new task type, in any case; empty is `multimodal`. Raises InvalidParams."""
    word = (task_type or DEFAULT_TASK_TYPE).lower()
    if word in _TRAINERS:
        return _TRAINERS[word]
    text = f"must be {one_of(_TRAINERS)} (got {shown(task_type)}).{did_you_mean(word, _TRAINERS)}"
    raise InvalidParams([Violation(field="task_type", message=text)])


def chosen_block(trainer_type: TrainerType, blocks: Blocks) -> tuple[str, Block]:
    """Name and content of the block that counts: the type's own, else `train_params`, else an empty one.

    The block of the other type may be there and is not looked at.
    """
    own = f"{trainer_type}_params"
    for name in (own, "train_params"):
        block: Block | None = getattr(blocks, name)
        if block is not None:
            return name, block
    return own, {}


def parse_blocks(task_type: str, method: Method, blocks: Blocks, *, devices: int = 1) -> BaseTrainingParams:
    """The checked parameters of a create request. Raises InvalidParams with the faults of its block."""
    trainer_type = trainer_type_of(task_type)
    name, block = chosen_block(trainer_type, blocks)
    return parse_params(trainer_type, method, block, at=name, devices=devices)
