"""Calls through the gateway by a client that repeats each one until it is answered."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from support.suite import API, Suite

PATIENCE_SECONDS = 60.0
NOT_NOW = frozenset({429, 503, 504})


class Caller:
    """One client. Whatever is not an answer is counted and tried again; an unexpected answer fails."""

    def __init__(self, suite: Suite) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{suite.port}{API}", timeout=5)
        self.answers: Counter[str] = Counter()

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, *expected: int, **request: Any) -> httpx.Response:
        """The answer, which is one of the expected."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            reply, why = self._try(method, path, request)
            if reply is not None and reply.status_code not in NOT_NOW:
                assert reply.status_code in expected, f"{method} {path}: {reply.status_code} {reply.text}"
                return reply
            assert time.monotonic() < deadline, f"no answer for {PATIENCE_SECONDS} s: {method} {path} {why}"
            time.sleep(0.2)

    def _try(self, method: str, path: str, request: dict[str, Any]) -> tuple[httpx.Response | None, str]:
        try:
            reply = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return None, repr(error)
        self.answers[f"{reply.status_code}"] += 1
        return reply, reply.text


class Client(ABC):
    """Does something every `pause` seconds or so, in a thread of its own, until it is told to end."""

    def __init__(self, suite: Suite, name: str, seed: int, pause: float) -> None:
        self.calls = Caller(suite)
        self._pause, self._random = pause, random.Random(f"{name} {seed}")
        self._end = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self._work: Future[None] | None = None

    @abstractmethod
    def act(self) -> None:
        """What it does each time."""

    def conclude(self) -> None:  # noqa: B027 - not every client has something left to do
        """What is still to be done when it is told to end."""

    def start(self) -> None:
        """Begin."""
        self._work = self._thread.submit(self._run)

    def finish(self) -> None:
        """End; raises what went wrong."""
        self._end.set()
        self._thread.shutdown(wait=True)
        self.calls.close()
        if self._work:
            self._work.result()

    def _run(self) -> None:
        self.act()
        while not self._end.wait(self._pause * self._random.uniform(0.5, 1.5)):
            self.act()
        self.conclude()
