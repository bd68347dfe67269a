"""Which rows ms-swift can learn from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain.params import Method
from swiftletd.training.domain.rows import Need, media_fault, media_of, row_fault

SFT, PT = Need(method=Method.SFT), Need(method=Method.PT)
DPO, GRPO = Need(method=Method.RLHF, rlhf_type="dpo"), Need(method=Method.RLHF, rlhf_type="grpo")

ASKED = {"role": "user", "content": "hi"}
ANSWERED = {"role": "assistant", "content": "hello"}
TURN = [ASKED, ANSWERED]


@pytest.mark.parametrize(
    ("row", "need"),
    [
        ({"messages": TURN}, SFT),
        ({"messages": [{"role": "system", "content": "be kind"}, *TURN]}, SFT),
        ({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}, SFT),
        ({"conversation": [{"human": "hi", "assistant": "ho"}]}, SFT),
        ({"messages": json.dumps(TURN)}, SFT),
        ({"messages": str(TURN)}, SFT),
        ({"messages": [ASKED, {"role": "assistant", "tool_calls": [{}], "content": None}]}, SFT),
        ({"query": "hi", "response": "ho"}, SFT),
        ({"instruction": "add", "input": "1 1", "output": "2"}, SFT),
        ({"Question": "hi", "Answer": "ho"}, SFT),
        ({"query": "hi", "response": "ho", "history": [["a", "b"]]}, SFT),
        ({"text": "once upon a time"}, PT),
        ({"messages": [ANSWERED]}, PT),
        ({"messages": TURN, "rejected_response": "go away"}, DPO),
        ({"messages": TURN, "rejected_messages": [ASKED, {"role": "assistant", "content": "no"}]}, DPO),
        ({"query": "hi", "response": "ho", "rejected_response": "no"}, DPO),
        ({"messages": [ASKED]}, GRPO),
        ({"query": "1+1", "solution": "2"}, GRPO),
    ],
)
def test_rows_that_are_taken(row: Any, need: Need):
    assert row_fault(row, need) == ""


@pytest.mark.parametrize(
    ("row", "need", "says"),
    [
        ([1], SFT, "must be an object"),
        ({"foo": 1}, SFT, "neither messages nor a question"),
        ({"messages": []}, SFT, "a list of messages"),
        ({"messages": "hello"}, SFT, "a list of messages"),
        ({"messages": [1]}, SFT, "in messages[0] something else"),
        ({"messages": [{"role": "boss", "content": "x"}]}, SFT, "in messages[0] no role"),
        ({"messages": [ASKED, {"role": "assistant", "content": None}]}, SFT, "in messages[1] no content"),
        ({"messages": [ASKED, {"role": "assistant", "content": 5}]}, SFT, "not a text"),
        ({"messages": [ASKED]}, SFT, "nothing to learn"),
        ({"query": "hi"}, SFT, "a question and no answer"),
        ({"query": "hi", "response": ""}, SFT, "a question and no answer"),
        ({"text": "once"}, SFT, "neither messages nor a question"),
        ({"title": "once"}, PT, "no text to train on"),
        ({"messages": TURN}, DPO, "no rejected_response"),
        ({"messages": TURN, "rejected_response": "hello"}, DPO, "is the answer itself"),
        ({"query": "hi", "response": "ho", "rejected_response": "ho"}, DPO, "is the answer itself"),
        ({"messages": TURN, "rejected_messages": [{"role": "user"}]}, DPO, "in rejected_messages has in"),
    ],
)
def test_rows_that_teach_nothing(row: Any, need: Need, says: str):
    assert says in row_fault(row, need)


def test_what_a_row_holds_is_not_repeated():
    assert "secret" not in row_fault("secret", SFT) + row_fault({"messages": ["secret"]}, SFT)


def test_media_under_both_names():
    row = {"image": "a.png", "videos": ["b.mp4", {"path": "c.mp4"}], "audios": None}

    assert list(media_of(row)) == [("images", "a.png"), ("videos", "b.mp4"), ("videos", "c.mp4")]


def test_a_tag_needs_its_picture():
    tagged = [{"role": "user", "content": "<image><image>what?"}, ANSWERED]

    assert media_fault({"messages": tagged, "images": ["a.png"]}) == "has 2 <image> tags and 1 images"
    assert media_fault({"messages": tagged, "images": ["a.png", "b.png"]}) == ""
    assert media_fault({"messages": tagged, "images": [{"bytes": "...", "path": None}]}) == ""


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
columns = st.sampled_from(
    ["messages", "conversations", "query", "response", "images", "rejected_response", "text"]
)
turns = st.lists(st.dictionaries(st.sampled_from(["role", "content", "from", "value"]), anything), max_size=3)


@given(row=anything | st.dictionaries(columns, anything | turns), need=st.sampled_from([SFT, PT, DPO, GRPO]))
def test_any_row_is_judged(row: Any, need: Need):
    assert isinstance(row_fault(row, need), str)
    if isinstance(row, dict):
        assert isinstance(media_fault(row), str)
        assert isinstance(list(media_of(row)), list)
