"""One job's way through the whole suite, with the real ms-swift: train, follow, export, serve, ask."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.suite import API, Suite
from support.waiting import eventually

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(300)]


def body(suite: Suite, tiny: Path) -> dict[str, Any]:
    return {
        "task_type": "llm",
        "model_path": str(tiny / "tiny-qwen2"),
        "data_path": str(tiny / "train.jsonl"),
        "output_dir": str(suite.home / "out"),
        "llm_params": {
            "num_epochs": 3,
            "batch_size": 8,
            "gradient_accumulation_steps": 1,
            "learning_rate": 3e-3,
            "lora_rank": 64,
            "lora_alpha": 128,
            "torch_dtype": "float32",
            "dataloader_num_workers": 0,
            "dataset_num_proc": 1,
        },
    }


def follow(suite: Suite, path: str, into: list[Any]) -> None:
    """Read a stream of server-sent events to its end."""
    with suite.api.stream("GET", API + path, timeout=240) as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        data = (line for line in reply.iter_lines() if line.startswith("data:"))
        into.extend(json.loads(line.removeprefix("data: ")) for line in data)  # one by one, as they come


def test_a_job_is_trained_though_the_training_service_is_killed_and_its_model_answers(
    real: Suite, tiny: Path
) -> None:
    # Given a job that trains, and a client that follows its progress
    job_id = real.create(**body(real, tiny))
    progress: list[Any] = []
    real.wait_for(job_id, lambda job: job["progress"] > 0)
    reader = threading.Thread(target=_until_cut, args=(real, job_id, progress))
    reader.start()
    eventually(lambda: bool(progress), "the stream of progress says nothing", real.logs)

    # When the training service is killed in the middle
    real.kill("training")
    reader.join(timeout=60)
    eventually(lambda: _answers(real, job_id), "the training service isn't back", real.logs)

    # Then the job goes on, completes and is exported
    job = real.wait_for(job_id, lambda job: job["export_completed"] or job["status"] == "failed", 180)
    assert job["status"] == "completed", job["error_message"]
    assert job["attempt"] == 1
    assert Path(job["export_path"], "config.json").is_file()

    # And every line of the log is there once, in order, also for one who reads it as a stream
    messages: list[Any] = []
    follow(real, f"/training/jobs/{job_id}/logs/stream", messages)
    lines = [line for message in messages for line in message["logs"]]
    raw = "".join(file.read_text() for file in sorted(Path(job["log_file_path"]).glob("*.log")))
    assert [line["offset"] for line in lines] == sorted({line["offset"] for line in lines})
    assert len(lines) == raw.count("\n")
    assert messages[-1]["done"] is True
    assert sum("'train_runtime'" in line["message"] for line in lines) == 1

    # And the model that came out of it is served and answers
    reply = real.api.post(f"{API}/deploy/jobs", json={"model_path": job_id, "auto_start": True})
    assert reply.status_code == httpx.codes.CREATED, reply.text
    deployment = reply.json()["job_id"]
    path = f"/deploy/jobs/{deployment}/status"
    eventually(
        lambda: real.get(path)["status"] == "running", "it doesn't serve", lambda: str(real.get(path)), 90
    )
    question = {
        "model": deployment,
        "messages": [{"role": "user", "content": "Where does the stork nest?"}],
        "max_tokens": 20,
    }
    answer = real.api.post(f"/serve/{deployment}/v1/chat/completions", json=question).json()
    assert answer.get("choices"), answer
    assert answer["choices"][0]["message"]["content"]

    # And the log of its model server can be read like that of a training
    _reads_by_text_and_line(real, f"/deploy/jobs/{deployment}/logs", "POST /V1/chat/completions")

    # And when it is stopped, its port and its GPU are free again
    assert real.api.post(f"{API}/deploy/jobs/{deployment}/stop").status_code == httpx.codes.OK
    eventually(lambda: real.get(path)["deploy_port"] == 0, "the port isn't free", lambda: str(real.get(path)))
    eventually(lambda: real.get("/training/gpus")["gpus"][0]["available"], "the device isn't free")


def _reads_by_text_and_line(suite: Suite, path: str, text: str) -> None:
    found = suite.get(path, search=text)["logs"]
    every = suite.get(path, offset=0, limit=1000)["logs"]
    assert found
    assert suite.get(path, line=1 + every.index(found[0]), limit=1)["logs"] == found[:1]


def _until_cut(suite: Suite, job_id: str, into: list[Any]) -> None:
    try:
        follow(suite, f"/training/jobs/{job_id}/progress/stream", into)
    except httpx.HTTPError:
        pass  # the service that sent it was killed


def _answers(suite: Suite, job_id: str) -> bool:
    return suite.api.get(f"{API}/training/jobs/{job_id}").status_code == httpx.codes.OK
