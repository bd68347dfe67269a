"""Streams over REST are server-sent events, each sent as it comes."""

from __future__ import annotations

import json

LOGS = "/api/v1/training/jobs/{}/logs/stream"


def messages(lines):
    """The JSON of each event."""
    return (json.loads(line.removeprefix("data: ")) for line in lines if line)


def test_each_message_arrives_before_the_next_is_made(client, training_process):
    with client.stream("GET", LOGS.format("a")) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        events = messages(answer.iter_lines())
        for number in range(3):
            event = next(events)
            assert event["logs"][0]["message"] == f"line {number}"
            assert event["done"] is False
            training_process.send_next_line()  # the double waits for it
        assert next(events)["done"] is True
        assert next(events, None) is None


def test_an_event_is_one_line_of_data_and_an_empty_line(client, training_process):
    with client.stream("GET", LOGS.format("a")) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: {")
        assert next(lines) == ""


def test_an_error_before_the_first_message_is_an_ordinary_one(client):
    answer = client.get(LOGS.format("missing"))
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json()["details"][0]["reason"] == "NOT_FOUND"


def test_a_stream_that_breaks_ends_without_done(client, training_process):
    with client.stream("GET", LOGS.format("breaks")) as answer:
        seen = []
        for event in messages(answer.iter_lines()):
            seen.append(event["done"])
            training_process.send_next_line()
    assert seen == [False, False, False]


def test_a_client_that_leaves_ends_the_rpc(client, training):
    with client.stream("GET", LOGS.format("a")) as answer:
        next(answer.iter_lines())
    assert training.watchers_gone.wait(5)


def test_a_stream_outlives_the_deadline_of_single_answers(client, training):
    with client.stream("GET", LOGS.format("a")) as answer:
        next(answer.iter_lines())
        assert training.time_left is None


def test_a_wrong_query_of_a_stream_is_named(client):
    answer = client.get(LOGS.format("a"), params={"tail": "x"})
    assert answer.status_code == 400
    assert answer.json()["details"][0]["metadata"] == {"field": "tail"}
