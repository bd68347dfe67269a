"""The building blocks of the parameter models: enumerations, checked types, the ms-swift flag of a field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from swiftletd.training.domain.placeholders import placeholder_in


class TrainerType(StrEnum):
    """Which parameter model a job has."""

    LLM = "llm"
    MLLM = "mllm"


class Method(StrEnum):
    """What is done to the model: the ms-swift command `swift <method>`."""

    SFT = "sft"
    PT = "pt"
    RLHF = "rlhf"


class RlhfType(StrEnum):
    """The algorithm of `method` rlhf."""

    DPO = "dpo"
    GRPO = "grpo"


@dataclass(frozen=True, slots=True)
class Swift:
    """The ms-swift flags that carry a field, and the rlhf algorithms that have it (none: every method)."""

    flags: tuple[str, ...]
    rlhf: frozenset[RlhfType] = frozenset()


def swift(*flags: str, rlhf: tuple[RlhfType, ...] = ()) -> Swift:
    return Swift(flags, frozenset(rlhf))


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _as_tuple(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _plain(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    if word := placeholder_in(value):
        raise ValueError(f"must not contain {word}, which Swiftlet fills in itself")
    return value


def _no_flag(value: str) -> str:
    if value.startswith("-"):
        raise ValueError("must not begin with '-'")
    return value


def _whole(value: int | float) -> int | float:
    return int(value) if value == int(value) else value


Word = BeforeValidator(_lower)
OneOrMore = BeforeValidator(_as_tuple)
Text = Annotated[str, Field(min_length=1), AfterValidator(_plain)]
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
PathText = Annotated[Text, Field(max_length=4096), AfterValidator(_no_flag)]
Epochs = Annotated[
    Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | Annotated[int, Field(gt=0, le=10_000)],
    AfterValidator(_whole),
]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Steps = Annotated[int, Field(ge=1, le=100_000_000)]

Dtype = Annotated[Literal["bfloat16", "float16", "float32"], Word]
Tuner = Annotated[
    Literal[
        "lora",
        "full",
        "longlora",
        "adalora",
        "llamapro",
        "adapter",
        "vera",
        "boft",
        "fourierft",
        "reft",
        "bone",
    ],
    Word,
]
Scheduler = Annotated[
    Literal[
        "linear",
        "cosine",
        "cosine_with_restarts",
        "polynomial",
        "constant",
        "constant_with_warmup",
        "inverse_sqrt",
        "reduce_lr_on_plateau",
        "cosine_with_min_lr",
        "warmup_stable_decay",
    ],
    Word,
]
Attention = Annotated[
    Literal[
        "sdpa",
        "eager",
        "flash_attn",
        "flash_attention_2",
        "flash_attention_3",
        "flash_attention_4",
        "flex_attention",
    ],
    Word,
]
Reporter = Annotated[Literal["tensorboard", "wandb", "swanlab", "none"], Word]
QuantMethod = Annotated[Literal["bnb", "hqq", "eetq"], Word]
Rlhf = Annotated[Literal["dpo", "grpo"], Word]
Reward = Annotated[
    Literal[
        "accuracy", "format", "react_format", "cosine", "repetition", "soft_overlong", "toolbench", "math"
    ],
    Word,
]
