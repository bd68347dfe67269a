"""The tables of the REST contract as data: what each row is sent, and what it has to answer.

A path names things that the test makes: {done} a trained job, {queued} one that waits for the device, which
another one holds, {idle} one that was never started, {served} a deployment, {waiting} one in the queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NUMBER = (int, float)
JOB = {
    "id": str,
    "status": str,
    "task_type": str,
    "trainer_type": str,
    "gpu_id": str,
    "data_path": str,
    "model_path": str,
    "output_dir": str,
    "log_file_path": str,
    "error_message": str,
    "checkpoint_path": str,
    "export_time": str,
    "export_path": str,
    "export_error": str,
    "created_at": str,
    "started_at": str,
    "completed_at": str,
    "priority": int,
    "train_params": dict,
    "process_id": int,
    "progress": NUMBER,
    "final_loss": NUMBER,
    "training_time": NUMBER,
    "export_completed": bool,
}
QUEUED = {
    "job_id": str,
    "status": {"queued"},
    "message": str,
    "queue_position": int,
    "estimated_wait_time": str,
}
ACTION = {"job_id": str, "status": {"queued"}, "message": str}
STOPPED, EXPORTING = {**ACTION, "status": {"cancelled"}}, {**ACTION, "status": {"exporting"}}
SHARED = {
    "num_epochs": NUMBER,
    "batch_size": int,
    "learning_rate": NUMBER,
    "gradient_accumulation_steps": int,
    "eval_steps": int,
    "save_steps": int,
    "save_total_limit": int,
    "logging_steps": int,
    "max_length": int,
    "warmup_ratio": NUMBER,
    "dataloader_num_workers": int,
    "dataset_num_proc": int,
    "save_only_model": bool,
    "torch_dtype": str,
    "train_type": str,
    "lora_rank": int,
    "lora_alpha": int,
}
MLLM = {**SHARED, "vit_lr": NUMBER, "aligner_lr": NUMBER}
TYPES = {
    "supported_types": [{"type": str, "task_types": [str], "params_model": str, "description": str}],
    "backward_compatibility": {"language_model": str, "multimodal": str},
}
ITEM = {"job_id": str, "queue_position": int, "priority": int, "gpu_ids": str, "created_at": str}
MESSAGE = {"message": str}
LOGS = {
    "job_id": str,
    "logs": [{"timestamp": str, "level": str, "message": str, "job_id": str}],
    "total": int,
}
DEPLOYMENT = {
    **dict.fromkeys(["job_id", "status", "created_at", "started_at", "completed_at", "deploy_type"], str),
    "deploy_port": int,
    "process_id": int,
}
GPU = {
    "id": object,
    "name": str,
    **dict.fromkeys(["memory_total", "memory_used", "memory_free", "utilization", "temperature"], NUMBER),
    "status": str,
    "job_id": object,
    "available": bool,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One promise. `shape` None is an answer without a body; `body` "job" or "deployment" is a usual one."""

    call: str
    shape: Any
    code: int = 200
    body: Any = None
    stream: bool = False

    @property
    def verb(self) -> str:
        return self.call.split()[0]

    @property
    def path(self) -> str:
        return self.call.split()[1]


def _params(shape: Any) -> dict[str, Any]:
    return {"trainer_type": str, "default_params": shape, "description": str}


T, D = "/training", "/deploy"
ROWS = (
    Row(call=f"POST {T}/jobs", code=201, body={"task_type": "llm", "llm_params": {}}, shape=QUEUED),
    Row(call=f"POST {T}/llm/jobs", code=201, body={"params": {"lora_rank": 8}}, shape=QUEUED),
    Row(call=f"POST {T}/mllm/jobs", code=201, body={"params": {"vit_lr": 1e-6}}, shape=QUEUED),
    Row(
        call=f"POST {T}/v2/jobs",
        code=201,
        body={"task_type": "llm", "llm_params": {}, "mllm_params": {}},
        shape=QUEUED,
    ),
    Row(
        call=f"GET {T}/jobs?page=1&size=10&status=running",
        shape={"jobs": [JOB], "total": int, "page": int, "size": int},
    ),
    Row(call=f"GET {T}/jobs/{{done}}", shape=JOB),
    Row(call=f"POST {T}/jobs/{{idle}}/start", shape=ACTION),
    Row(call=f"POST {T}/jobs/{{queued}}/stop", shape=STOPPED),
    Row(call=f"POST {T}/jobs/{{done}}/export", shape=EXPORTING),
    Row(
        call=f"GET {T}/jobs/{{done}}/progress",
        shape={"job_id": str, "progress": NUMBER, "estimated_time_remaining": NUMBER},
    ),
    Row(call=f"GET {T}/jobs/{{done}}/logs?limit=100", shape=LOGS),
    Row(call=f"GET {T}/jobs/{{done}}/events?limit=50", shape={"job_id": str, "events": [dict], "total": int}),
    Row(call=f"DELETE {T}/jobs/{{queued}}", code=204, shape=None),
    Row(call=f"GET {T}/params/default?trainer_type=llm", shape=_params(SHARED)),
    Row(call=f"GET {T}/llm/params/default", shape=_params(SHARED)),
    Row(call=f"GET {T}/mllm/params/default", shape=_params(MLLM)),
    Row(call=f"GET {T}/supported-types", shape=TYPES),
    Row(call=f"GET {T}/v2/supported-types", shape=TYPES),
    Row(
        call=f"GET {T}/v2/params/compare",
        shape={"common_params": [dict], "llm_only_params": list, "mllm_only_params": [dict]},
    ),
    Row(call=f"GET {T}/gpus", shape={"gpus": [GPU], "total": int}),
    Row(
        call=f"GET {T}/system/status",
        shape={
            "system": {
                "memory": {"total": NUMBER, "used": NUMBER, "available": NUMBER, "percent": NUMBER},
                "cpu": {"usage_percent": NUMBER, "count": int},
            },
            "gpu": {
                "count": int,
                "total_memory": NUMBER,
                "used_memory": NUMBER,
                "memory_usage_percent": NUMBER,
            },
        },
    ),
    Row(
        call=f"GET {T}/health",
        shape={
            "status": {"healthy"},
            "timestamp": str,
            "services": {"redis": object, "gpu_manager": object},
            "gpu_count": int,
        },
    ),
    Row(call=f"GET {T}/queue", shape={"total_queued": int, "queue_items": [ITEM]}),
    Row(
        call=f"POST {T}/queue/process",
        shape={
            "message": str,
            "result": {"processed": int, "started": int, "failed": int, "details": object},
        },
    ),
    Row(call=f"DELETE {T}/queue/{{queued}}", shape=MESSAGE),
    Row(call=f"GET {T}/queue/{{queued}}/status", shape={**ITEM, "estimated_wait_time": str}),
    Row(call=f"POST {T}/queue/processor/stop", shape=MESSAGE),
    Row(call=f"POST {T}/queue/processor/start", shape=MESSAGE),
    Row(call=f"GET {T}/queue/processor/status", shape={"running": bool}),
    Row(
        call=f"POST {D}/jobs",
        code=201,
        body="deployment",
        shape={"job_id": str, "status": str, "port": int},
    ),
    Row(call=f"POST {D}/jobs/{{served}}/start", shape={"job_id": str, "message": str}),
    Row(call=f"POST {D}/jobs/{{waiting}}/stop", shape={"job_id": str, "message": str}),
    Row(call=f"GET {D}/jobs/{{served}}/status", shape=DEPLOYMENT),
    Row(call=f"GET {D}/jobs/{{served}}/logs?limit=100", shape={**LOGS, "logs": list}),  # it was never started
    Row(
        call=f"GET {D}/queue",
        shape={"total_queued": int, "queue_items": [{"job_id": str, "queue_position": int}]},
    ),
    Row(call=f"POST {D}/queue/{{served}}/add?priority=5", shape=MESSAGE),
    Row(call=f"DELETE {D}/queue/{{waiting}}", shape=MESSAGE),
    Row(call=f"GET {T}/jobs/{{done}}/progress/stream", stream=True, shape={"resume_token": str}),
    Row(call=f"GET {T}/jobs/{{done}}/logs/stream", stream=True, shape={"resume_token": str}),
    Row(call=f"GET {T}/jobs/{{done}}/events/stream", stream=True, shape={"resume_token": str}),
    Row(call=f"GET {D}/jobs/{{waiting}}/status/stream", stream=True, shape={"resume_token": str}),
    Row(call=f"GET {D}/jobs/{{waiting}}/logs/stream", stream=True, shape={"resume_token": str}),
    Row(call=f"GET {T}/gpus/stream", stream=True, shape={"resume_token": str}),
    Row(call=f"GET {T}/queue/stream", stream=True, shape={"resume_token": str}),
    # Last: it leaves nothing.
    Row(
        call=f"DELETE {T}/jobs",
        shape={
            "success": bool,
            "deleted_count": int,
            "failed_count": int,
            "total_count": int,
            "message": str,
        },
    ),
)

# What is there beside the contract.
ADDED = (Row(call=f"DELETE {D}/jobs/{{waiting}}", code=204, shape=None),)


def faults(value: Any, shape: Any, at: str = "$") -> list[str]:
    """Where a JSON value isn't of a shape: names that are missing, types that are others."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return [f"{at} is {value!r} and not an object"]
        missing = [f"{at}.{name} is missing" for name in shape.keys() - value.keys()]
        return missing + [
            f
            for name in shape.keys() & value.keys()
            for f in faults(value[name], shape[name], f"{at}.{name}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list) or not value:
            return [f"{at} is {value!r} and not a list with something in it"]
        return [f for i, item in enumerate(value) for f in faults(item, shape[0], f"{at}[{i}]")]
    if isinstance(shape, set):  # words
        return [] if value in shape else [f"{at} is {value!r} and not of {shape}"]
    bad = isinstance(value, bool) and shape in (int, NUMBER)
    return [] if isinstance(value, shape) and not bad else [f"{at} is {value!r} and not {shape}"]
