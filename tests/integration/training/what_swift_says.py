"""Runs in the trainer environment: what the imported ms-swift itself says about its flags and models."""

from __future__ import annotations

import dataclasses
import json
import sys

from swift.arguments import (
    DeployArguments,
    ExportArguments,
    InferArguments,
    PretrainArguments,
    RLHFArguments,
    SftArguments,
)
from swift.arguments.base_args.base_args import get_supported_tuners
from swift.model.model_meta import MODEL_MAPPING
from swift.rewards.orm import orms
from swift.template.register import TEMPLATE_MAPPING
from transformers.trainer_utils import SchedulerType

COMMANDS = {
    "sft": SftArguments,
    "pt": PretrainArguments,
    "rlhf": RLHFArguments,
    "export": ExportArguments,
    "deploy": DeployArguments,
    "infer": InferArguments,
}

json.dump(
    {
        "flags": {
            name: sorted(field.name for field in dataclasses.fields(command) if field.init)
            for name, command in COMMANDS.items()
        },
        "models": {
            name: {
                "architectures": sorted(set(meta.architectures) - {"null"}),
                "templates": sorted(meta.candidate_templates),
                "multimodal": meta.is_multimodal,
            }
            for name, meta in MODEL_MAPPING.items()
        },
        "templates": sorted(TEMPLATE_MAPPING),
        "tuners": sorted(get_supported_tuners()),
        "schedulers": sorted(scheduler.value for scheduler in SchedulerType),
        "rewards": sorted(orms),
    },
    sys.stdout,
)
