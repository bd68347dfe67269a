"""How much disk a training may take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain.checkpoint_size import ModelSize, disk_needed, model_size
from swiftletd.training.domain.params import Method, TrainerType, parse_params

GIB = 2**30
# Seven billion weights of two bytes.
SEVEN_B = model_size(14 * GIB, {"hidden_size": 4096, "num_hidden_layers": 32, "torch_dtype": "bfloat16"})


def needed(raw: dict[str, object], *, keep_optimizer: bool = False) -> float:
    params = parse_params(TrainerType.LLM, Method.SFT, raw)
    return disk_needed(SEVEN_B, params, keep_optimizer=keep_optimizer) / GIB


def test_adapters_are_small_and_the_merged_model_is_not():
    assert 14 < needed({}) < 17


def test_full_checkpoints_are_whole_models():
    assert 42 < needed({"train_type": "full", "save_total_limit": 2}) < 43


def test_the_optimizer_is_four_times_the_weights():
    full = {"train_type": "full", "save_total_limit": 2}

    assert needed(full, keep_optimizer=True) > 4.9 * needed(full)


def test_a_multimodal_configuration_tells_of_its_text_part():
    size = model_size(10, {"text_config": {"hidden_size": 64, "num_hidden_layers": 2}, "dtype": "float32"})

    assert size == ModelSize(weights_bytes=10, hidden_size=64, layers=2, weight_bytes=4)


@given(
    limit=st.integers(1, 1000), rank=st.integers(1, 4096), weights=st.integers(0, 2**42), keep=st.booleans()
)
def test_more_checkpoints_never_take_less(limit: int, rank: int, weights: int, keep: bool):
    size = ModelSize(weights_bytes=weights, hidden_size=1024, layers=24)
    some, more = (
        parse_params(TrainerType.LLM, Method.SFT, {"save_total_limit": n, "lora_rank": rank})
        for n in (limit, min(limit + 1, 1000))
    )

    assert disk_needed(size, some, keep_optimizer=keep) <= disk_needed(size, more, keep_optimizer=keep)
