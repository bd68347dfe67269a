"""Whatever is sent to create a job: a job that exists, or a refusal with a reason of the catalogue."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.suite import API, Suite
from swiftlet.error.v1.reason_pb2 import Reason

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(120)]
JOBS = f"{API}/training/jobs"
JSON = {"content-type": "application/json"}
REASONS = {name.removeprefix("REASON_") for name in Reason.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"}
INFO = "type.googleapis.com/google.rpc.ErrorInfo"

odd_text = st.text(max_size=80) | st.sampled_from(
    ["", " ", "\0", "../../etc/passwd", "a\nb", "\u202e", "\ud800", "😀" * 40, "-rf", "$(id)", "a" * 70_000]
)
numbers = st.integers() | st.floats() | st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308])
scalars = st.none() | st.booleans() | numbers | odd_text
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=4),
    max_leaves=12,
)
GOOD: dict[str, Any] = {
    "task_type": "llm",
    "model_path": "org/model",
    "data_path": "org/data",
    "output_dir": "fuzz",
    "auto_start": False,
    "priority": 3,
    "resources": {"gpus": 1},
    "llm_params": {"max_steps": 1, "lora_rank": 8, "extra_args": {"lazy_tokenize": "true"}},
}
PLACES = (
    *((name,) for name in GOOD if name != "auto_start"),  # nothing is to run
    *(("llm_params", name) for name in GOOD["llm_params"]),
    ("resources", "gpus"),
    ("resources", "min_gpu_memory_gib"),
    ("job_id",),
    ("llm_params", "learning_rate"),
    ("llm_params", "target_modules"),
    ("mllm_params",),
    ("train_params",),
    ("nonsense",),
)


@st.composite
def nearly_good(draw: st.DrawFn) -> dict[str, Any]:
    """A body that is right but for some of its places."""
    body = json.loads(json.dumps(GOOD))
    for *parents, name in draw(st.lists(st.sampled_from(PLACES), max_size=2, unique=True)):
        owner = body
        for parent in parents:
            owner = owner[parent] if isinstance(owner.get(parent), dict) else {}
        owner[name] = draw(anything)
    return body


def deep(opening: str, closing: str, levels: int) -> bytes:
    """Lists in lists, or objects in objects."""
    return (opening * levels + "1" + closing * levels).encode()


bodies = (
    (nearly_good() | st.dictionaries(odd_text, anything, max_size=5) | anything)
    .map(json.dumps)
    .map(str.encode)
    | nearly_good().map(lambda body: json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass"))
    | nearly_good().flatmap(lambda body: st.integers(0, 200).map(lambda at: json.dumps(body).encode()[:at]))
    | st.binary(max_size=200)
)


@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=bodies)
@example(content=json.dumps(GOOD).encode())
@example(content=b"")
@example(content=deep("[", "]", 100_000))
@example(content=deep('{"a":', "}", 50_000))
@example(content=json.dumps(GOOD | {"llm_params": {"extra_args": {"a": {"a": {}}}}}).encode())
@example(content=b'{"priority": ' + b"9" * 100_000 + b"}")
@example(content=b'{"priority": 1e999999999}')
@example(content=b'{"priority": 1, "priority": 2}')
@example(content=json.dumps(GOOD | {"job_id": "../a"}).encode())
@example(content=json.dumps(GOOD | {"output_dir": "/etc"}).encode())
@example(content=json.dumps(GOOD).encode("utf-16"))
def test_a_create_makes_a_job_or_says_why_not(fast: Suite, content: bytes) -> None:
    reply = fast.api.post(JOBS, content=content, headers=JSON)
    if reply.status_code == httpx.codes.CREATED:
        _exists_and_goes(fast, reply.json()["job_id"])
    else:
        assert 400 <= reply.status_code < 500, (reply.status_code, reply.text)
        _is_explained(reply.status_code, reply.json())


def test_the_body_that_all_of_these_are_made_from_is_good(fast: Suite) -> None:
    reply = fast.api.post(JOBS, json=GOOD)
    assert reply.status_code == httpx.codes.CREATED, reply.text
    job_id = reply.json()["job_id"]
    job = fast.job(job_id)
    sent = ("task_type", "model_path", "data_path", "priority")
    assert {name: job[name] for name in sent} == {name: GOOD[name] for name in sent}
    assert job["train_params"].items() >= GOOD["llm_params"].items()
    _exists_and_goes(fast, job_id)


def _exists_and_goes(fast: Suite, job_id: str) -> None:
    assert fast.job(job_id)["id"] == job_id
    assert fast.api.delete(f"{JOBS}/{job_id}").status_code == httpx.codes.NO_CONTENT


def _is_explained(status: int, error: dict[str, Any]) -> None:
    assert error["message"], error
    info, *more = error["details"]
    assert info["@type"] == INFO, error
    assert info["reason"] in REASONS, error
    if status == httpx.codes.BAD_REQUEST and info["reason"] != "MALFORMED_JSON":
        named = [fault["field"] for detail in more for fault in detail.get("field_violations", ())]
        assert named, error
        assert all(named), error
        assert info["metadata"]["field"] == named[0]
