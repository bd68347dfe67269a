"""Words of the REST API, addresses, errors, and the end of a job."""

from __future__ import annotations

import pytest

import swiftlet
from swiftlet import DeadlineExceeded, DeployStatus, JobStatus, to_dict
from swiftlet._shared.config import Address
from swiftlet._shared.jobs import OutcomeWait, check_outcome
from swiftlet._shared.status import BY_REASON
from swiftlet._shared.words import number, word
from swiftlet.deploy.v1 import deployment_pb2
from swiftlet.error.v1.reason_pb2 import Reason
from swiftlet.training.v1 import job_pb2
from swiftlet.training.v1.job_pb2 import Progress, TrainingJob
from swiftlet.training.v1.training_service_pb2 import CompareParamsResponse, Health

COMPLETED = job_pb2.JobStatus.JOB_STATUS_COMPLETED


@pytest.mark.parametrize(
    ("ours", "wire"), [(JobStatus, job_pb2.JobStatus), (DeployStatus, deployment_pb2.DeployStatus)]
)
def test_our_words_are_those_of_the_contract(ours, wire):
    words = [word(wire.DESCRIPTOR, value) for value in wire.values() if value]

    assert [str(status) for status in ours] == words
    assert [number(wire.DESCRIPTOR, text.upper(), "status") for text in words] == [*wire.values()][1:]


def test_a_number_from_the_future_stays_a_number():
    assert word(job_pb2.JobStatus.DESCRIPTOR, 99) == "99"


def test_a_message_is_shown_as_the_rest_api_shows_it():
    shown = to_dict(TrainingJob(id="a", status=COMPLETED, attempts=[job_pb2.Attempt(number=1)]))

    assert shown["status"] == "completed"
    assert shown["trainer_type"] == "unspecified"
    assert shown["priority"] == 0
    assert shown["attempts"][0]["number"] == 1
    assert to_dict(Health(services={"status": "healthy"}))["services"] == {"status": "healthy"}


def test_defaults_of_any_type_are_shown_as_they_are():
    params = CompareParamsResponse()
    params.common_params.add(name="a").default.string_value = "JOB_STATUS_RUNNING"

    assert to_dict(params)["common_params"][0]["default"] == "JOB_STATUS_RUNNING"


@pytest.mark.parametrize(
    ("text", "target", "url", "loopback"),
    [
        ("10.0.0.1:9000", "10.0.0.1:9000", "http://10.0.0.1:9000", False),
        ("localhost:9000", "localhost:9000", "http://localhost:9000", True),
        ("http://[::1]:9000/", "[::1]:9000", "http://[::1]:9000", True),
        ("https://swiftlet.lan", "swiftlet.lan:443", "https://swiftlet.lan:443", False),
        ("box", "box:8000", "http://box:8000", False),
    ],
)
def test_addresses(text, target, url, loopback):
    address = Address.parse(text)

    assert (address.target, address.url, address.is_loopback) == (target, url, loopback)


def test_without_an_address_the_environment_names_it(monkeypatch):
    monkeypatch.delenv("SWIFTLET_ADDRESS", raising=False)
    assert Address.parse().target == "127.0.0.1:8000"
    monkeypatch.setenv("SWIFTLET_ADDRESS", "box:1234")
    assert Address.parse().target == "box:1234"


@pytest.mark.parametrize("text", ["ftp://a", "http://", "a:b", "http://a/b", "a:99999"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match=r"host:port|[Pp]ort"):
        Address.parse(text)


def test_every_reason_of_a_refused_request_has_an_error_of_its_own_kind():
    # Those from 40 on are why jobs fail.
    refusals = {Reason.Name(value).removeprefix("REASON_") for value in Reason.values() if 0 < value < 40}

    assert refusals <= set(BY_REASON)


def test_a_job_is_over_when_it_is_exported_or_can_not_be():
    waiting = OutcomeWait(None, exported=True)
    running, exporting = Progress(phase="training"), Progress(phase="exporting")

    assert not waiting.over(TrainingJob(status=job_pb2.JobStatus.JOB_STATUS_RUNNING), running)
    assert not waiting.over(TrainingJob(status=COMPLETED), exporting)
    assert waiting.over(TrainingJob(status=COMPLETED, export_completed=True), exporting)
    assert waiting.over(TrainingJob(status=COMPLETED, export_error="no disk"), exporting)
    assert waiting.over(TrainingJob(status=COMPLETED), Progress(phase="ended"))
    assert waiting.over(TrainingJob(status=job_pb2.JobStatus.JOB_STATUS_FAILED), exporting)
    assert OutcomeWait(None, exported=False).over(TrainingJob(status=COMPLETED), exporting)


def test_waiting_for_the_end_has_an_end():
    now = 0.0
    waiting = OutcomeWait(10, exported=True, clock=lambda: now)
    pauses = [waiting.pause() for _ in range(8)]
    now = 10.0

    assert pauses == sorted(pauses)
    assert max(pauses) == 1.0
    with pytest.raises(DeadlineExceeded, match="It goes on"):
        waiting.pause()


def test_a_job_without_a_model_is_an_error():
    cancelled = TrainingJob(id="a", status=job_pb2.JobStatus.JOB_STATUS_CANCELLED)
    unexported = TrainingJob(id="a", status=COMPLETED, export_error="no disk")

    with pytest.raises(swiftlet.JobFailed, match="was cancelled"):
        check_outcome(cancelled, exported=True)
    with pytest.raises(swiftlet.JobFailed, match="its export failed: no disk"):
        check_outcome(unexported, exported=True)
    assert check_outcome(unexported, exported=False) is unexported
