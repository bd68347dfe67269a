"""Every error is JSON with code, message and details, and says what to do. Nobody can provoke a 5xx."""

from __future__ import annotations

import json

import pytest

JOBS = "/api/v1/training/jobs"
STATUS = "pending, queued, running, completed, failed, cancelled, exporting"
PARAMETERS = "page, size, status, task_type, trainer_type, created_after, created_before, search, page_token"


def error_of(answer, status, code, reason):
    """The message, after a look at the form that all errors have."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    body = answer.json()
    assert set(body) == {"code", "message", "details"}
    assert body["code"] == code
    info = body["details"][0]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == (reason, "swiftlet")
    return body["message"]


def field_of(answer):
    """The field that the details name."""
    info, bad = answer.json()["details"]
    assert bad["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert info["metadata"]["field"] == bad["field_violations"][0]["field"]
    return bad["field_violations"][0]["field"]


def test_an_error_of_the_service_keeps_its_details(client):
    answer = client.get(f"{JOBS}/missing")
    assert (
        error_of(answer, 404, 5, "NOT_FOUND")
        == "There is no training job 'missing'. The list has those that there are."
    )
    assert answer.json()["details"][0]["metadata"] == {"resource": "training job", "id": "missing"}


def test_an_unforeseen_error_leaks_nothing(client):
    answer = client.get(f"{JOBS}/broken")
    error_of(answer, 500, 13, "INTERNAL")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"priorty": 1}, "priorty"),
        ({"priority": "high"}, "priority"),
        ({"task_type": "vision"}, "task_type"),
        ({"llm_params": {"lora_rnak": 1}}, "llm_params.lora_rnak"),
        ({}, "data_path"),
    ],
)
def test_what_is_wrong_in_a_body_is_named(client, body, field):
    answer = client.post(JOBS, json=body)
    assert error_of(answer, 400, 3, "INVALID_ARGUMENT").startswith(f"{field}: ")
    assert field_of(answer) == field


def test_what_the_path_says_is_told_in_its_own_words(client):
    answer = client.post("/api/v1/training/llm/jobs", json={"trainer_type": "mllm"})
    text = "trainer_type: the path says 'llm'; leave it out of the body."
    assert error_of(answer, 400, 3, "INVALID_ARGUMENT") == text


def test_a_field_that_is_in_the_path_is_not_proposed(client):
    answer = client.post(f"{JOBS}/a/start", json={"job": "a"})
    assert "job_id" not in error_of(answer, 400, 3, "INVALID_ARGUMENT")


@pytest.mark.parametrize("body", [b"{", b'{"a": 1,}', b"[]", b"null", b"\xff", b"{" * 100_000, b'{"a": NaN}'])
def test_what_is_not_json_is_told_so(client, body):
    answer = client.post(JOBS, content=body, headers={"content-type": "application/json"})
    assert "body" in error_of(answer, 400, 3, "MALFORMED_JSON")


def test_a_body_full_of_faults_fits_into_an_answer(client):
    answer = client.post(JOBS, json={f"ü{n}{'x' * 1000}": 1 for n in range(900)})
    error_of(answer, 400, 3, "INVALID_ARGUMENT")
    assert len(answer.json()["details"][1]["field_violations"]) == 10


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "status=nope",
            f'status: must be one of {STATUS}, got "nope"',
        ),
        ("page=abc", 'page: must be an integer from -2147483648 to 2147483647, got "abc"'),
        ("page=1.5", 'page: must be an integer from -2147483648 to 2147483647, got "1.5"'),
        ("page=3000000000", 'page: must be an integer from -2147483648 to 2147483647, got "3000000000"'),
        ("page=", 'page: must be an integer from -2147483648 to 2147483647, got ""'),
        (
            "bogus=1",
            f"bogus: unknown query parameter; this call takes {PARAMETERS}",
        ),
        ("size=1&size=2", "size: is given more than once; leave one"),
    ],
)
def test_what_is_wrong_in_a_query_is_named(client, query, message):
    answer = client.get(f"{JOBS}?{query}")
    assert error_of(answer, 400, 3, "INVALID_ARGUMENT") == message
    assert field_of(answer) == message.split(":")[0]


@pytest.mark.parametrize(
    "value", ['"', "\\", '\\"', 'x" for type TYPE_BOOL', "\n\t\x7f", "ü", "%", "%25s", "{}"]
)
def test_whatever_is_wrong_in_a_query_the_answer_is_json(client, value):
    answer = client.get(JOBS, params={"status": value})
    assert error_of(answer, 400, 3, "INVALID_ARGUMENT").startswith("status: must be one of pending, ")
    error_of(client.get(JOBS, params={value: "1"}), 400, 3, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "name", ["!", "a#b", "x-trace-bin", "grpc-encoding", "grpc-timeout", "x~y", "'", "|"]
)
def test_headers_that_grpc_would_refuse_are_not_handed_on(client, name):
    assert client.get(f"{JOBS}/a", headers={name: "###"}).status_code == 200


def test_headers_that_are_too_long_are_the_clients_fault(client):
    answer = client.get(f"{JOBS}/a", headers={"x-long": "a" * 70_000})
    error_of(answer, 431, 8, "LIMIT_REACHED")


def test_a_call_without_parameters_says_so(client):
    answer = client.get(f"{JOBS}/a?verbose=1")
    assert answer.json()["message"] == "verbose: unknown query parameter; this call takes none"


@pytest.mark.parametrize("query", ["priority=3", "json_body.data=e30=", "json_body.content_type=a"])
def test_a_call_with_a_body_takes_no_query(client, query):
    answer = client.post(f"{JOBS}?{query}", json={"data_path": "a"})
    error_of(answer, 400, 3, "INVALID_ARGUMENT")
    assert field_of(answer) == query.split("=")[0]


@pytest.mark.parametrize(
    "path", [f"{JOBS}/%FF", f"{JOBS}?search=%C3", f"{JOBS}?search=%ED%A0%80", f"{JOBS}/%C0%AF"]
)
def test_what_is_not_utf8_is_refused(client, path):
    assert "UTF-8" in error_of(client.get(path), 400, 3, "INVALID_ARGUMENT")


def test_a_path_that_is_no_path_is_refused(client):
    assert "not a valid HTTP request" in error_of(client.get(f"{JOBS}/%00"), 400, 3, "INVALID_ARGUMENT")


def test_an_unknown_path_is_404(client):
    message = error_of(client.get("/api/v1/nope?a=1"), 404, 5, "NOT_FOUND")
    assert message == "There is no /api/v1/nope?a=1. /docs lists all calls."


def test_a_wrong_verb_is_405_and_the_right_ones_are_named(client):
    answer = client.put(f"{JOBS}/a", json={})
    assert error_of(answer, 405, 12, "UNSUPPORTED").startswith(f"PUT is not a method of {JOBS}/a")
    assert answer.headers["allow"] == "DELETE, GET"


def test_an_overlong_body_is_413(client, training):
    answer = client.post(JOBS, json={"data_path": "x" * (1024 * 1024)})
    assert "1048576 bytes" in error_of(answer, 413, 8, "LIMIT_REACHED")
    assert not training.requests


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "text/json",
        "application/xml",
    ],
)
def test_a_body_that_is_not_declared_json_is_415(client, training, content_type):
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.post(JOBS, content=json.dumps({"data_path": "a"}), headers=headers)
    assert "application/json" in error_of(answer, 415, 3, "INVALID_ARGUMENT")
    assert not training.requests


def test_chunks_count_as_a_body(client, training):
    answer = client.post(JOBS, content=iter([b'{"data_path":', b'"a"}']))
    error_of(answer, 415, 3, "INVALID_ARGUMENT")
    declared = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post(JOBS, content=iter([b'{"data_path":', b'"a"}']), headers=declared).status_code == 201


def test_a_service_that_is_down_is_503_with_the_time_to_wait(client):
    answer = client.get("/api/v1/training/gpus")
    message = error_of(answer, 503, 14, "DEPENDENCY_UNAVAILABLE")
    assert message.startswith("The service for /api/v1/training/gpus is starting, stopping or down")
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["details"][0]["metadata"] == {"dependency": "gpu"}


def test_an_answer_that_does_not_come_is_504(client):
    answer = client.get(f"{JOBS}/slow")
    assert "read before you repeat" in error_of(answer, 504, 4, "DEADLINE_EXCEEDED")
