"""/serve/<id>/ reaches the model servers that the deploy service publishes, within a moment."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from swiftletd.deploy.adapters.routes import ModelServer, publish


class Echo(BaseHTTPRequestHandler):
    """A double of a model server: tells what it was asked."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        asked = {
            "path": self.path,
            "body": self.rfile.read(length).decode(),
            "prefix": self.headers["x-forwarded-prefix"],
        }
        content = json.dumps(asked).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - named by the library

    def log_message(self, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def model_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def published(gateway):
    yield lambda *servers: publish(gateway.paths.model_servers, servers)
    publish(gateway.paths.model_servers, [])


def until(status, ask):
    """The first answer with this status; Envoy reads the file within milliseconds of its change."""
    deadline = time.monotonic() + 10
    while (answer := ask()).status_code != status:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.01)
    return answer


def test_a_published_server_gets_the_rest_of_the_path(client, model_server, published):
    published(ModelServer("m-1.a", model_server.server_port))
    answer = until(200, lambda: client.get("/serve/m-1.a/v1/models?x=%20y"))
    assert answer.json() == {"path": "/v1/models?x=%20y", "body": "", "prefix": "/serve/m-1.a"}
    chat = client.post("/serve/m-1.a/v1/chat/completions", content="hello")
    assert chat.json()["body"] == "hello"
    assert client.get("/serve/m-1.a").json()["path"] == "/"


def test_a_server_that_is_withdrawn_is_404(client, model_server, published):
    published(ModelServer("m-2", model_server.server_port))
    until(200, lambda: client.get("/serve/m-2/"))
    published()
    answer = until(404, lambda: client.get("/serve/m-2/"))
    assert answer.json()["message"].startswith("There is no model server at /serve/m-2/.")


def test_a_server_that_has_died_is_503_with_a_sentence(client, published):
    published(ModelServer("m-3", 1))
    answer = until(503, lambda: client.get("/serve/m-3/v1/models"))
    assert answer.json()["code"] == 14
    assert "The model server does not answer" in answer.json()["message"]


@pytest.mark.parametrize(
    "path", ["/serve", "/serve/", "/serve/training/x", "/serve/a%2Fb/x", "/serve/../docs/x"]
)
def test_nothing_else_is_reached_that_way(client, path):
    assert client.get(path).status_code == 404


def test_a_stranger_may_not_use_a_model(client, model_server, published):
    published(ModelServer("m-4", model_server.server_port))
    until(200, lambda: client.get("/serve/m-4/"))
    foreign = {"origin": "https://evil.example"}
    assert client.post("/serve/m-4/v1/chat/completions", headers=foreign).status_code == 403
