"""Worked examples for the document: bodies that can be sent as they are, and answers."""

from __future__ import annotations

from typing import Any

CREATE = {
    "data_path": "AI-ModelScope/alpaca-gpt4-data-en#500",
    "model_path": "Qwen/Qwen2.5-7B-Instruct",
    "output_dir": "output/training_001",
}

BODIES: dict[str, dict[str, Any]] = {
    "CreateTrainingJobRequest": {
        "language model": {
            **CREATE,
            "task_type": "llm",
            "priority": 5,
            "llm_params": {"num_epochs": 3, "lora_rank": 64},
        },
        "multimodal model": {
            "task_type": "multimodal",
            "data_path": "AI-ModelScope/coco#20000",
            "model_path": "Qwen/Qwen2.5-VL-7B-Instruct",
            "output_dir": "output/training_002",
            "mllm_params": {"vit_lr": 1e-6},
        },
        "parameters under their old name": {**CREATE, "task_type": "llm", "train_params": {"batch_size": 8}},
        "two GPUs of 80 GiB, started by hand": {
            **CREATE,
            "task_type": "llm",
            "auto_start": False,
            "resources": {"gpus": 2, "min_gpu_memory_gib": 79},
        },
    },
    "CreateTypedTrainingJobRequest": {
        "a few parameters": {**CREATE, "params": {"num_epochs": 3, "lora_rank": 64}}
    },
    "CreateDeploymentRequest": {
        "an exported training job": {
            "model_path": "training-job-id",
            "deploy_type": "llm",
            "auto_start": True,
        },
        "a part of a GPU": {
            "model_path": "Qwen/Qwen2.5-0.5B-Instruct",
            "deploy_target": "local",
            "deploy_type": "llm",
            "resources": {"memory": "8GB", "gpu_memory": "16GB"},
            "priority": 5,
        },
    },
    "MoveQueueItemRequest": {"to the front": {"priority": 10}},
}

ANSWERS: dict[str, dict[str, Any]] = {
    "CreateTrainingJobResponse": {
        "GPUs are free": {"job_id": "job-1", "status": "pending", "message": "The job starts now."},
        "GPUs are busy": {
            "job_id": "job-1",
            "status": "queued",
            "message": "The job waits for GPUs; 1 is before it.",
            "queue_position": 2,
            "estimated_wait_time": "about 12 min",
        },
    },
    "CreateDeploymentResponse": {
        "waits for its start": {"job_id": "dep-1", "status": "pending", "port": 8001, "message": "Created."}
    },
}

INFO = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "swiftlet"}

ERRORS: dict[str, dict[str, Any]] = {
    "a field is at fault": {
        "code": 3,
        "message": "llm_params.lora_rnak: unknown field; did you mean 'lora_rank'?",
        "details": [
            {**INFO, "reason": "INVALID_ARGUMENT", "metadata": {"field": "llm_params.lora_rnak"}},
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "field_violations": [
                    {
                        "field": "llm_params.lora_rnak",
                        "description": "unknown field; did you mean 'lora_rank'?",
                        "reason": "INVALID_ARGUMENT",
                    }
                ],
            },
        ],
    },
    "there is no such job": {
        "code": 5,
        "message": "There is no training job 'job-1'. The list has those that there are.",
        "details": [
            {**INFO, "reason": "NOT_FOUND", "metadata": {"resource": "training job", "id": "job-1"}},
        ],
    },
}
