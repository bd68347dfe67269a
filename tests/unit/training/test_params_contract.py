"""The parameter models and the contract's message have the same fields."""

from __future__ import annotations

from swiftlet.training.v1.params_pb2 import TrainingParams
from swiftletd.training.domain.param_catalogue import ALIASES
from swiftletd.training.domain.params import LLMTrainingParams, MLLMTrainingParams


def test_each_field_of_the_message_is_a_parameter_and_the_other_way_round():
    message = {field.name for field in TrainingParams.DESCRIPTOR.fields}

    assert message == {*LLMTrainingParams.model_fields, *MLLMTrainingParams.model_fields, *ALIASES}
