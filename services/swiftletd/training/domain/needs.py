"""Packages that parameters need in the trainer environment, besides what ms-swift brings."""

from __future__ import annotations

from collections.abc import Iterator, Set

from swiftletd.training.domain.param_models import BaseTrainingParams
from swiftletd.training.domain.param_rules import DEFAULT_QUANT_METHOD
from swiftletd.training.domain.violations import Violation

_QUANT_PACKAGES = {"bnb": "bitsandbytes", "hqq": "hqq", "eetq": "eetq"}
_REPORT_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "swanlab": "swanlab"}


def missing_packages(params: BaseTrainingParams, packages: Set[str]) -> list[Violation]:
    """What the parameters need and the environment lacks; `packages` are names of distributions."""
    return [
        Violation(
            field, f"needs the package '{package}' in the trainer environment; install it, or change {field}"
        )
        for field, package in _needed(params)
        if package not in packages
    ]


def _needed(params: BaseTrainingParams) -> Iterator[tuple[str, str]]:
    if params.deepspeed:
        yield "deepspeed", "deepspeed"
    if params.quant_bits:
        yield "quant_bits", _QUANT_PACKAGES[params.quant_method or DEFAULT_QUANT_METHOD]
    if params.attn_impl in {"flash_attn", "flash_attention_2"}:
        yield "attn_impl", "flash_attn"
    if params.rlhf_type == "grpo":
        yield "rlhf_type", "msgspec"
    for reporter in params.report_to or ():
        if reporter in _REPORT_PACKAGES:
            yield "report_to", _REPORT_PACKAGES[reporter]
