"""What the gateway says about itself, and the documentation."""

from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator


@pytest.mark.parametrize("path", ["/", "/info"])
def test_the_suite_says_what_it_is(client, path):
    about = client.get(path).json()
    assert about["name"] == "swiftlet"
    assert about["version"]
    for link in ("docs", "openapi", "training_jobs"):
        assert client.get(about["links"][link]).status_code == 200


def test_the_documentation_asks_no_other_host(client):
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert parts
    for part in parts:
        assert part.startswith(("/docs/", "data:"))
        if part.startswith("/"):
            assert client.get(part).status_code == 200


def test_the_browser_is_told_that_it_may_ask_no_other_host(client):
    policy = client.get("/docs").headers["content-security-policy"]
    assert "connect-src 'self'" in policy
    assert "http" not in policy


def test_the_document_is_of_this_suite(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/training/jobs" in document["paths"]


@pytest.mark.parametrize(
    ("method", "path", "template", "status"),
    [
        ("GET", "/training/jobs", "/training/jobs", "200"),
        ("GET", "/training/jobs/a", "/training/jobs/{job_id}", "200"),
        ("GET", "/training/llm/params/default", "/training/llm/params/default", "200"),
        ("GET", "/training/health", "/training/health", "503"),
        ("POST", "/training/jobs/a/stop", "/training/jobs/{job_id}/stop", "200"),
        ("GET", "/training/jobs/missing", "/training/jobs/{job_id}", "404"),
        ("GET", "/training/jobs?bogus=1", "/training/jobs", "400"),
        ("PUT", "/training/jobs", "/training/jobs", "default"),
    ],
)
def test_answers_are_as_the_document_says(client, method, path, template, status):
    document = client.get("/openapi.json").json()
    verb = "get" if method == "PUT" else method.lower()
    described = document["paths"][f"/api/v1{template}"][verb]["responses"][status]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rsplit("/", 1)[-1]]
    answer = client.request(method, f"/api/v1{path}")
    assert status in {str(answer.status_code), "default"}
    schema = described["content"][answer.headers["content-type"]]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
