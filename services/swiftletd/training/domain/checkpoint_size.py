"""How much disk the checkpoints of a training will take: an estimate from above, in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swiftletd.training.domain.command import MERGEABLE
from swiftletd.training.domain.param_models import BaseTrainingParams

# Tokenizer, configuration, trainer state, logs, tensorboard.
SMALL_FILES = 32 * 2**20
_BYTES_PER_WEIGHT = {"bfloat16": 2, "float16": 2, "float32": 4}
# Adam keeps two values of four bytes for each weight that is trained.
_OPTIMIZER_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSize:
    """`weights_bytes` on disk; the rest from config.json, 0 where it does not say."""

    weights_bytes: int
    hidden_size: int = 0
    layers: int = 0
    weight_bytes: int = 2


def model_size(weights_bytes: int, config: Mapping[str, Any]) -> ModelSize:
    """Reads the text part of a multimodal configuration, which is the larger one."""
    text = config.get("text_config") if isinstance(config.get("text_config"), Mapping) else config
    stored = config.get("torch_dtype", config.get("dtype"))
    return ModelSize(
        weights_bytes=weights_bytes,
        hidden_size=_whole(text, "hidden_size"),
        layers=_whole(text, "num_hidden_layers"),
        weight_bytes=_BYTES_PER_WEIGHT.get(str(stored), 2),
    )


def disk_needed(size: ModelSize, params: BaseTrainingParams, *, keep_optimizer: bool) -> int:
    """Bytes of all checkpoints that are there at once, and of the merged model after them."""
    trained = _trained_weights(size, params)
    each = trained * (4 if params.train_type != "full" else _BYTES_PER_WEIGHT[params.torch_dtype])
    if keep_optimizer:
        each += trained * _OPTIMIZER_BYTES
    # One more than is kept: the oldest goes only when the newest is complete.
    checkpoints = (params.save_total_limit + 1) * (each + SMALL_FILES)
    merged = size.weights_bytes + SMALL_FILES if params.train_type in MERGEABLE else 0
    return checkpoints + merged


def _trained_weights(size: ModelSize, params: BaseTrainingParams) -> int:
    weights = size.weights_bytes // size.weight_bytes
    if params.train_type == "full":
        return weights
    # Seven linear layers of about hidden x 4 hidden each; an adapter has rank x (in + out) weights.
    adapters = 7 * size.layers * params.lora_rank * 5 * size.hidden_size
    return min(weights, adapters) if adapters else weights // 20


def _whole(config: Any, name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
