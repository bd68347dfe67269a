"""What a web page of a stranger can do to a suite on the same machine: nothing."""

from __future__ import annotations

import socket
import time

import pytest

from integration.gateway.conftest import TRUSTED

JOBS = "/api/v1/training/jobs"


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "[::1]", "gpu-box", "GPU-BOX:8000", "localhost:1"]
)
def test_the_suite_answers_to_its_names(client, name):
    assert client.get(JOBS, headers={"host": name}).status_code == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"]
)
@pytest.mark.parametrize("path", [JOBS, "/", "/docs", "/serve/a/v1/models"])
def test_a_name_that_points_at_us_without_being_ours_gets_nothing(client, training, name, path):
    answer = client.get(path, headers={"host": name})
    assert answer.status_code == 421
    assert name in answer.json()["message"]
    assert not training.requests


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_a_page_of_another_origin_changes_nothing(client, training, method):
    answer = client.request(method, f"{JOBS}/a", headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, 7)
    assert not training.requests


@pytest.mark.parametrize("origin", ["null", "file://", "http://localhost:1"])
def test_nor_does_a_page_without_one(client, training, origin):
    assert client.post(f"{JOBS}/a/stop", headers={"origin": origin}).status_code == 403
    assert not training.requests


def test_our_own_page_may(client, gateway):
    assert client.post(f"{JOBS}/a/stop", headers={"origin": gateway.url}).status_code == 200


def test_an_origin_that_was_named_may(client):
    answer = client.post(f"{JOBS}/a/stop", headers={"origin": TRUSTED})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, TRUSTED)
    asked = {"origin": TRUSTED, "access-control-request-method": "DELETE"}
    preflight = client.options(f"{JOBS}/a", headers=asked)
    assert "DELETE" in preflight.headers["access-control-allow-methods"]


def test_an_origin_that_was_not_named_may_not_read(client):
    answer = client.get(JOBS, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/docs", JOBS, f"{JOBS}/missing", f"{JOBS}?bogus=1", "/nope"])
def test_every_answer_tells_browsers_to_be_careful(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["server"] == "swiftlet"


def test_no_client_steers_envoy(client, training):
    steering = {"x-envoy-upstream-rq-timeout-ms": "1", "x-http-code": "204", "x-swiftlet-serve": "training"}
    assert client.get(f"{JOBS}/a", headers=steering).status_code == 200
    assert not [name for name in training.metadata if name in {"x-envoy-internal", "x-swiftlet-serve"}]


def test_very_long_headers_are_refused(client):
    assert client.get(JOBS, headers={"x-long": "x" * 40_000}).status_code == 431
    assert client.get(JOBS, headers={f"x-{n}": "1" for n in range(200)}).status_code == 431


def test_a_client_that_never_finishes_its_headers_is_let_go(gateway):
    host, port = gateway.host.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        answer = slow.recv(1000)
        assert b"408" in answer.split(b"\r\n")[0]
        assert 5 < time.monotonic() - began < 15
