"""From arguments to requests: what fits is sent, what doesn't is refused by name."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftlet import DeployOptions, InvalidArgument, JobOptions, TrainingOptions
from swiftlet._shared import paths, requests
from swiftlet._shared.fields import PARAMS, parse_param
from swiftlet.deploy.v1.deploy_service_pb2 import CreateDeploymentRequest
from swiftlet.deploy.v1.deployment_pb2 import DeployResources
from swiftlet.training.v1.job_pb2 import Method, Resources, TaskType
from swiftlet.training.v1.params_pb2 import TrainingParams
from swiftlet.training.v1.training_service_pb2 import CreateTrainingJobRequest, ListTrainingJobsRequest

NEW = requests.NewJob(model="org/m", data="org/d", output_dir="/out", task="llm", method="sft")


def create(**options):
    return requests.create_job(NEW, options, resolve=False)


def test_every_parameter_of_the_contract_is_an_option():
    assert set(TrainingOptions.__annotations__) == set(PARAMS)


def test_every_other_option_is_a_field_of_the_contract():
    own = set(JobOptions.__annotations__) - set(PARAMS)
    fields = set(CreateTrainingJobRequest.DESCRIPTOR.fields_by_name) | set(
        Resources.DESCRIPTOR.fields_by_name
    )
    deploy = set(CreateDeploymentRequest.DESCRIPTOR.fields_by_name) | set(
        DeployResources.DESCRIPTOR.fields_by_name
    )

    assert own <= fields
    assert set(DeployOptions.__annotations__) <= deploy


def test_no_parameter_has_the_name_of_an_argument():
    arguments = {
        "model",
        "data",
        "output_dir",
        "task",
        "method",
        "wait",
        *Resources.DESCRIPTOR.fields_by_name,
    }

    assert not arguments & set(PARAMS)


def test_options_go_where_they_belong():
    request = create(lora_rank=8, gpus=2, priority=5, target_modules=["q"], extra_args={"neftune": 5})

    assert request.task_type == TaskType.TASK_TYPE_LLM
    assert request.method == Method.METHOD_SFT
    assert request.train_params == TrainingParams(
        lora_rank=8, target_modules=["q"], extra_args={"neftune": "5"}
    )
    assert (request.resources.gpus, request.priority) == (2, 5)
    assert not request.HasField("auto_start")


def test_what_is_not_given_is_not_sent():
    assert create(lora_rank=None).train_params == TrainingParams()


def test_a_list_of_one_may_be_written_as_text():
    assert list(create(target_modules="all-linear").train_params.target_modules) == ["all-linear"]


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"lora_rnak": 8}, "lora_rnak", "did you mean lora_rank"),
        ({"qqqq": 8}, "qqqq", "see `swiftlet params`"),
        ({"lora_rank": "8"}, "lora_rank", "must be a whole number, not '8'"),
        ({"lora_rank": True}, "lora_rank", "must be a whole number"),
        ({"lora_rank": 2**40}, "lora_rank", "range"),
        ({"learning_rate": "fast"}, "learning_rate", "must be a number"),
        ({"packing": 1}, "packing", "must be true or false"),
        ({"gpus": 1.5}, "gpus", "must be a whole number"),
        ({"priority": "high"}, "priority", "must be a whole number"),
        ({"target_modules": [1]}, "target_modules", "must be text"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(options, field, words):
    with pytest.raises(InvalidArgument, match=words) as caught:
        create(**options)

    assert [at.field for at in caught.value.fields] == [field]


def test_all_mistakes_are_told_at_once():
    with pytest.raises(InvalidArgument) as caught:
        create(lora_rank="a", seed="b")

    assert {at.field for at in caught.value.fields} == {"lora_rank", "seed"}


def test_an_unknown_task_names_those_there_are():
    wrong = requests.NewJob(model="m", data="d", output_dir="o", task="vision", method="sft")

    with pytest.raises(InvalidArgument, match="'vision' is none of llm, mllm"):
        requests.create_job(wrong, {}, resolve=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lora_rank=8", ("lora_rank", 8)),
        ("lora-rank = 8", ("lora_rank", 8)),
        ("learning_rate=1e-4", ("learning_rate", 1e-4)),
        ("packing=yes", ("packing", True)),
        ("packing=False", ("packing", False)),
        ("system=a=b", ("system", "a=b")),
        ("report_to=wandb, tensorboard", ("report_to", ["wandb", "tensorboard"])),
    ],
)
def test_text_is_read_as_the_parameter_wants_it(text, value):
    assert parse_param(text) == value


@pytest.mark.parametrize(
    "text", ["lora_rank", "lora_rank=eight", "packing=maybe", "nope=1", "extra_args=a", "=", ""]
)
def test_text_that_does_not_fit_is_refused(text):
    with pytest.raises(InvalidArgument):
        parse_param(text)


@given(st.text())
def test_whatever_is_typed_is_read_or_refused(text):
    with suppress(InvalidArgument):
        name, _ = parse_param(text)
        assert name in PARAMS


def test_a_deployment_starts_by_itself_unless_told_otherwise():
    assert requests.create_deployment("m", {}, resolve=False).auto_start
    assert not requests.create_deployment("m", {"auto_start": False}, resolve=False).auto_start
    with pytest.raises(InvalidArgument, match="portt"):
        requests.create_deployment("m", {"portt": 1}, resolve=False)


def test_times_are_sent_in_utc():
    at = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))

    assert requests.rfc3339(at) == "2026-03-01T10:30:00.000Z"
    assert requests.rfc3339("2026-03-01T10:30:00Z") == "2026-03-01T10:30:00Z"
    assert requests.rfc3339(None) == ""
    assert create(earliest_start=at.astimezone(UTC)).earliest_start == "2026-03-01T10:30:00.000Z"


def test_paths_that_exist_here_are_made_absolute_and_hub_ids_stay(tmp_path, monkeypatch):
    (tmp_path / "train.jsonl").write_text("{}")
    monkeypatch.chdir(tmp_path)

    assert paths.local("train.jsonl#500") == f"{tmp_path}/train.jsonl#500"
    assert paths.local("AI-ModelScope/coco#20000") == "AI-ModelScope/coco#20000"
    assert paths.local("") == ""
    assert paths.output("out/a") == f"{tmp_path}/out/a"


def test_each_request_for_a_change_gets_an_id_of_its_own_and_no_other_has_one():
    first, second, read = create(), create(), ListTrainingJobsRequest()
    for request in (first, second, read):
        requests.identify(request)
    assert first.request_id
    assert first.request_id != second.request_id
    assert read == ListTrainingJobsRequest()
