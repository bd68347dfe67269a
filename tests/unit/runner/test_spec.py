"""spec.json is checked before anything starts."""

from __future__ import annotations

import pytest

from swiftletd.runner.spec import SpecError, parse_spec

GOOD = {
    "run": "training-abc-1",
    "kind": "training",
    "owner": "abc",
    "attempt": 1,
    "token": 7,
    "redis_url": "unix://:secret@/run/redis.sock?db=0",
    "time_limit": 0,
    "grace_seconds": 30,
    "env": {"CUDA_VISIBLE_DEVICES": "0"},
    "steps": [{"name": "train", "argv": ["python", "-m", "swift.cli.sft"], "cwd": "/", "output_dir": "/out"}],
}


def test_a_good_spec():
    spec = parse_spec({**GOOD, "jit_checkpoint": True, "something_new": 1})
    assert spec.steps[0].argv == ("python", "-m", "swift.cli.sft")
    assert spec.jit_checkpoint
    assert spec.grace_seconds == 30.0


def test_secrets_are_not_shown():
    spec = parse_spec({**GOOD, "env": {"HF_TOKEN": "hush"}})
    assert "secret" not in repr(spec)
    assert "hush" not in repr(spec)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"run": ""}, "run must be a text"),
        ({"run": "../../etc"}, "run must be letters"),
        ({"attempt": "1"}, "attempt must be a whole number"),
        ({"token": True}, "token must be a whole number"),
        ({"redis_url": None}, "redis_url must be a text"),
        ({"time_limit": -1}, "time_limit must be a number of seconds"),
        ({"grace_seconds": float("nan")}, "grace_seconds must be a number of seconds"),
        ({"env": {"A": 1}}, "env must be an object of texts"),
        ({"steps": []}, "steps must be a list with at least one step"),
        ({"steps": ["train"]}, r"steps\[0\] must be an object"),
        ({"steps": [{**GOOD["steps"][0], "argv": "swift sft"}]}, r"steps\[0\].argv must be a list of words"),
        ({"steps": [GOOD["steps"][0], {"argv": ["x"]}]}, r"steps\[1\].name must be a text"),
    ],
)
def test_a_wrong_field_is_named(wrong, complaint):
    with pytest.raises(SpecError, match=complaint):
        parse_spec({**GOOD, **wrong})


@pytest.mark.parametrize(("value", "complaint"), [(None, "missing"), ([], "must hold an object")])
def test_no_spec_at_all(value, complaint):
    with pytest.raises(SpecError, match=complaint):
        parse_spec(value)
