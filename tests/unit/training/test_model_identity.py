"""Which model type and template a local model is taken for."""

from __future__ import annotations

from typing import Any

import pytest

from swiftletd.training.domain.model_identity import Clues, Identity, identify
from unit.training.installations import INSTALLATION

QWEN = {"architectures": ["Qwen3ForCausalLM"]}


def clues(name: str = "my-model", config: Any = None, args: Any = None) -> Clues:
    return Clues(name=name, config=QWEN if config is None else config, args=args or {})


def told(found: Identity | list[Any]) -> dict[str, str]:
    assert isinstance(found, list)
    return {fault.field: fault.message for fault in found}


def test_an_architecture_of_several_types_needs_the_parameter():
    fault = told(identify(clues(), INSTALLATION))

    assert fault == {"model_type": "can't be told from the model, which may be qwen3 or qwen3_emb; set it"}


def test_a_type_of_several_templates_needs_the_parameter():
    fault = told(identify(clues(), INSTALLATION, model_type="qwen3"))

    assert "qwen3 or deepseek_r1 belong to qwen3" in fault["template"]


def test_both_parameters_settle_it():
    found = identify(clues(), INSTALLATION, model_type="qwen3", template="deepseek_r1")

    assert found == Identity(model_type="qwen3", template="deepseek_r1", multimodal=False)


def test_args_json_of_a_model_that_swift_wrote_settles_it():
    args = {"swift_version": "4.6.0", "model_type": "qwen3", "template": "qwen3"}

    assert identify(clues(args=args), INSTALLATION) == Identity(
        model_type="qwen3", template="qwen3", multimodal=False
    )


def test_args_json_of_version_3_does_not_tell_the_type():
    args = {"swift_version": "3.12.6", "model_type": "qwen3", "template": "qwen3"}

    assert "model_type" in told(identify(clues(args=args), INSTALLATION))


@pytest.mark.parametrize(
    ("name", "template"), [("Qwen3-0.6B", "qwen3"), ("DeepSeek-R1-0528-Qwen3-8B", "deepseek_r1")]
)
def test_a_directory_called_as_a_known_model_is_that_model(name: str, template: str):
    found = identify(clues(name), INSTALLATION)

    assert found == Identity(model_type="qwen3", template=template, multimodal=False)


def test_a_unique_architecture_settles_it():
    found = identify(clues(config={"architectures": ["LlavaForConditionalGeneration"]}), INSTALLATION)

    assert found == Identity(model_type="llava1_5_hf", template="llava1_5_hf", multimodal=True)


def test_an_unlisted_text_model_is_trained_as_it_is():
    found = identify(clues(config={"architectures": ["NewForCausalLM"]}), INSTALLATION)

    assert found == Identity(model_type="", template="", multimodal=False)


def test_an_unlisted_multimodal_model_needs_the_parameter():
    config = {"architectures": ["NewForConditionalGeneration"], "vision_config": {}}

    assert "does not list" in told(identify(clues(config=config), INSTALLATION))["model_type"]


def test_words_that_swift_does_not_know():
    fault = told(identify(clues(), INSTALLATION, model_type="qwen33", template="nope"))

    assert "Did you mean 'qwen3'?" in fault["model_type"]
    assert "'nope' is not known to ms-swift 4.6.0" in fault["template"]
