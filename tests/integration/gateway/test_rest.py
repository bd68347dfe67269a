"""What a REST client gets when all is well."""

from __future__ import annotations

import pytest

from swiftlet.training.v1 import job_pb2

JOBS = "/api/v1/training/jobs"
CREATE = {"data_path": "a.jsonl", "model_path": "m", "output_dir": "o"}


def test_a_create_answers_201(client, training):
    answer = client.post(JOBS, json={**CREATE, "llm_params": {"lora_rank": 8}})
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert answer.json() == {"job_id": "made-up", "status": "pending", "message": ""}
    assert training.requests[-1].llm_params.lora_rank == 8


def test_a_delete_answers_204_without_a_body(client):
    answer = client.delete(f"{JOBS}/a")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers
    assert client.get(f"{JOBS}/a").status_code == 200  # on the same connection


def test_everything_else_answers_200_with_zeros_written_out(client):
    answer = client.get(f"{JOBS}/a")
    assert answer.status_code == 200
    job = answer.json()
    assert (job["id"], job["status"], job["priority"], job["attempts"]) == ("a", "running", 0, [])
    assert job["export_completed"] is False


def test_no_trace_of_grpc_is_left_in_the_headers(client):
    for path in (f"{JOBS}/a", f"{JOBS}/missing", "/metrics/training"):
        assert not [
            name for name in client.get(path).headers if name.startswith(("grpc", "x-http", "x-envoy"))
        ]


def test_the_service_may_answer_503_with_an_ordinary_body(client):
    answer = client.get("/api/v1/training/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")


def test_metrics_are_plain_text(client):
    answer = client.get("/metrics/training")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    assert answer.text == "swiftlet_rpcs_total 1\n"


@pytest.mark.parametrize(
    "word", ["running", "RUNNING", "Running", "JOB_STATUS_RUNNING", "job_status_running"]
)
def test_enum_words_are_taken_in_any_case_in_a_query(client, word):
    answer = client.get(JOBS, params={"status": word})
    assert answer.json()["jobs"][0]["status"] == "running"


@pytest.mark.parametrize("word", ["mllm", "MLLM", "Mllm", "TASK_TYPE_MLLM"])
def test_enum_words_are_taken_in_any_case_in_a_body(client, training, word):
    assert client.post(JOBS, json={**CREATE, "task_type": word}).status_code == 201
    assert training.requests[-1].task_type == job_pb2.TASK_TYPE_MLLM


@pytest.mark.parametrize("kind", ["llm", "mllm"])
def test_the_path_fixes_the_trainer(client, training, kind):
    assert client.post(f"/api/v1/training/{kind}/jobs", json=CREATE).status_code == 201
    assert training.requests[-1].trainer_type == job_pb2.TrainerType.Value(f"TRAINER_TYPE_{kind.upper()}")
    assert client.get(f"/api/v1/training/{kind}/params/default").json()["trainer_type"] == kind


def test_an_additional_path_is_the_same_call(client, training):
    assert client.post("/api/v1/training/v2/jobs", json={**CREATE, "job_id": "mine"}).status_code == 201
    assert training.requests[-1].job_id == "mine"


def test_an_action_needs_neither_body_nor_content_type(client, training):
    assert client.post(f"{JOBS}/a/stop").status_code == 200
    assert training.requests[-1].job_id == "a"


def test_text_travels_unharmed(client, training):
    client.get(JOBS, params={"search": "größe & 日本 100% +"})
    assert training.requests[-1].search == "größe & 日本 100% +"
    client.get(f"{JOBS}/job%C3%A9%2F1")
    assert training.requests[-1].job_id == "jobé/1"
    client.post(JOBS, json={**CREATE, "data_path": "größe 日本 \U0001f600"})
    assert training.requests[-1].data_path == "größe 日本 \U0001f600"


def test_an_answer_of_many_megabytes_passes(client):
    assert len(client.get(f"{JOBS}/huge").json()["error_message"]) == 5 * 1024 * 1024


def test_the_service_sees_headers_deadline_and_request_id(client, training):
    sent = {"idempotency-key": "k-1", "x-request-id": "r-1", "grpc-timeout": "1n"}
    answer = client.post(JOBS, json=CREATE, headers=sent)
    assert answer.headers["x-request-id"] == "r-1"
    assert training.metadata["idempotency-key"] == "k-1"
    assert training.metadata["x-request-id"] == "r-1"
    assert 0 < training.time_left <= 2.5  # the gateway's own: a client's grpc-timeout would make a 504
