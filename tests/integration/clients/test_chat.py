"""Asking a deployment, over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import swiftlet
from swiftlet.chat import stream

QUESTION = [{"role": "user", "content": "Where?"}]


@pytest.fixture
def model_server():
    """A double of a model server: it answers with the lines it was given and keeps the question."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write("".join(f"{line}\n\n" for line in self.server.lines).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.lines = 200, []
    server.url = f"http://127.0.0.1:{server.server_port}/serve/a/v1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def event(text):
    return "data: " + json.dumps({"choices": [{"delta": {"content": text}}]})


def test_the_answer_comes_word_by_word_until_done(model_server):
    model_server.lines = [
        ": ping",
        event("In a "),
        event(None),
        event("cave."),
        "data: [DONE]",
        event("never"),
    ]

    assert list(stream(model_server.url, "birds", QUESTION, temperature=0)) == ["In a ", "cave."]
    assert model_server.asked == {
        "model": "birds",
        "messages": QUESTION,
        "stream": True,
        "temperature": 0,
    }


def test_a_proxy_of_the_office_is_not_asked_for_this_machine(model_server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    model_server.lines = [event("Yes.")]

    assert list(stream(model_server.url, "birds", QUESTION)) == ["Yes."]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, "{}", swiftlet.NotFound, "404"),
        (503, '{"message": "no healthy upstream"}', swiftlet.Unavailable, "no healthy upstream"),
        (400, '{"error": {"message": "too long"}}', swiftlet.SwiftletError, "too long"),
        (400, "plain words", swiftlet.SwiftletError, "plain words"),
    ],
)
def test_a_refusal_says_what_the_server_said(model_server, status, body, kind, words):
    model_server.status, model_server.lines = status, [body]

    with pytest.raises(kind, match=words):
        list(stream(model_server.url, "birds", QUESTION))


def test_nobody_there(unused_tcp_port):
    with pytest.raises(swiftlet.Unreachable, match="swiftletd up"):
        list(stream(f"http://127.0.0.1:{unused_tcp_port}/serve/a/v1", "birds", QUESTION))
