"""Ask a deployment, word by word. For more than that, give `Deployment.url` to a client of the OpenAI API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any, TypedDict

from swiftlet._shared.config import Address
from swiftlet._shared.errors import Cause, NotFound, SwiftletError, Unavailable, Unreachable

__all__ = ["Message", "stream"]

_BY_STATUS: dict[int, type[SwiftletError]] = {
    404: NotFound,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class Message(TypedDict):
    """One turn of a conversation."""

    role: str
    """system, user or assistant."""
    content: str


def stream(
    url: str, model: str, messages: Sequence[Message], *, timeout: float = 120.0, **options: Any
) -> Iterator[str]:
    """The answer, piece by piece as the model writes it.

    `url` is `Deployment.url`, `model` the `served_model_name`, `timeout` the longest silence in
    seconds; `options` go to the model server (`max_tokens`, `temperature`). Raises Unreachable,
    NotFound, Unavailable or another SwiftletError with what the model server said.
    """
    body = {"model": model, "messages": list(messages), "stream": True, **options}
    request = urllib.request.Request(  # noqa: S310  # an Address has only http and https
        f"{url.rstrip('/')}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "text/event-stream"},
    )
    with _open(request, timeout) as response:
        for data in _events(response):
            if data == "[DONE]":
                return
            yield from _words(data)


def _open(request: urllib.request.Request, timeout: float) -> HTTPResponse:
    """The response; a proxy is not asked for a suite on this machine."""
    proxies = [urllib.request.ProxyHandler({})] if Address.parse(_root(request)).is_loopback else []
    try:
        response: HTTPResponse = urllib.request.build_opener(*proxies).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        raise _refused(error) from error
    except OSError as error:
        remedy = "Start the suite with `swiftletd up`, or say where it is with SWIFTLET_ADDRESS=host:port."
        raise Unreachable(
            f"Nothing answers at {request.host}. {remedy}", Cause(code="UNAVAILABLE")
        ) from error
    return response


def _events(response: HTTPResponse) -> Iterator[str]:
    try:
        for line in response:
            yield line.decode("utf-8", "replace").strip().removeprefix("data:").strip()
    except (OSError, HTTPException) as error:
        raise Unavailable("The model server broke off its answer. Ask again.") from error


def _root(request: urllib.request.Request) -> str:
    return f"{request.type}://{request.host}"


def _refused(error: urllib.error.HTTPError) -> SwiftletError:
    text = error.read(4096).decode("utf-8", "replace").strip()
    try:
        said = json.loads(text)
        text = said.get("message") or said.get("detail") or said["error"]["message"]
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    kind = _BY_STATUS.get(error.code, SwiftletError)
    return kind(f"The model server refused the question ({error.code}): {text or error.reason}")


def _words(data: str) -> Iterator[str]:
    """The text in one event; comments and events without text give none."""
    try:
        choices = json.loads(data)["choices"]
    except (ValueError, KeyError, TypeError):
        return
    for choice in choices:
        if text := choice.get("delta", {}).get("content"):
            yield text
