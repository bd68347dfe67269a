"""The golden JSON is what the protos give: who changes a name or a type that clients see, sees it here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.golden import FOLDER, differences, golden_files
from support.refusals import REFUSALS
from swiftlet.error.v1.reason_pb2 import Reason
from swiftlet_gateway.openapi.comments import comments

FILES = golden_files()
OF_JOBS = 40  # the first reason that only a failed job has
PROTOS = Path(__file__).parents[3] / "protos"
HOW = "run `make goldens` and look at what changes for clients"


def test_there_is_one_for_each_rpc_and_reason_and_no_other():
    assert set(FOLDER.rglob("*.json")) == FILES.keys(), HOW


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_is_what_the_protos_give(path):
    assert json.loads(path.read_text()) == FILES[path], HOW


def test_every_reason_that_an_rpc_can_give_is_there():
    reasons = {name.removeprefix("REASON_") for name, number in Reason.items() if 0 < number < OF_JOBS}
    assert REFUSALS.keys() == reasons


@pytest.mark.parametrize("reason", REFUSALS)
def test_the_metadata_of_a_refusal_is_that_of_the_catalogues_example(reason):
    text = comments(PROTOS)[f"swiftlet.error.v1.Reason.REASON_{reason}"]
    example = json.loads(re.findall(r"\{.*\}", text)[-1])
    assert example["reason"] == reason
    assert REFUSALS[reason].metadata.keys() == example["metadata"].keys()


def test_a_real_answer_is_held_against_it():
    golden = {"id": "x", "sizes": [{"bytes": 1}], "parts": {"*": "x"}, "any": "any JSON value"}
    assert not differences({"id": "", "sizes": [], "parts": {"redis": "well"}, "any": [1]}, golden)
    assert not differences({"id": "a", "sizes": [{"bytes": 1.5}]}, golden)
    assert differences({"name": "a"}, golden) == ["$.name is not in the golden JSON"]
    assert len(differences({"id": 1, "sizes": [{"bytes": "1"}], "parts": {"a": True}}, golden)) == 3
