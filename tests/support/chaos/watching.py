"""Subscribers that stay for the whole life of a job: each goes on from its token when its stream breaks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from support.chaos.calls import NOT_NOW, PATIENCE_SECONDS
from support.suite import API, Suite

AT_ONCE = 8
SILENT_SECONDS = 20.0  # a stream says something every 15 s


@dataclass
class Watched:
    """What one subscriber heard of one job."""

    job_id: str
    heard: list[Any] = field(default_factory=list)
    streams: int = 0
    breaks: Counter[str] = field(default_factory=Counter)
    done: bool = False
    gone: bool = False  # the job was deleted meanwhile
    open_at: float = 0.0  # when a stream was last opened or said something


class Watchers:
    """Follow the log and the events of each job as server-sent events, a few at a time."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._work: list[Future[None]] = []
        self._room = threading.Semaphore(AT_ONCE)
        self.logs: dict[str, Watched] = {}
        self.events: dict[str, Watched] = {}

    def watch(self, job_id: str) -> None:
        """Follow a new job, unless everybody is busy."""
        for kind, follow in ((self.logs, self._follow_log), (self.events, self._follow_events)):
            if self._room.acquire(blocking=False):
                kind[job_id] = Watched(job_id)
                self._work.append(self._pool.submit(self._while_there, follow, kind[job_id]))

    @property
    def busy(self) -> bool:
        """Whether a stream goes on."""
        return any(not work.done() for work in self._work)

    def finish(self) -> None:
        """After all jobs have ended; raises what went wrong."""
        for work in self._work:
            work.result(PATIENCE_SECONDS)
        self._pool.shutdown()

    def _while_there(self, follow: Any, watched: Watched) -> None:
        try:
            follow(watched)
        finally:
            self._room.release()

    def _follow_log(self, watched: Watched) -> None:
        self._follow(watched, "logs", lambda message: message["logs"])

    def _follow_events(self, watched: Watched) -> None:
        self._follow(watched, "events", lambda message: [message["event"]] if "event" in message else [])

    def _follow(self, watched: Watched, what: str, items: Callable[[Any], list[Any]]) -> None:
        token, watched.open_at = "", time.monotonic()
        path = f"/training/jobs/{watched.job_id}/{what}/stream"
        timeout = httpx.Timeout(5, read=SILENT_SECONDS)
        with httpx.Client(base_url=f"http://127.0.0.1:{self._suite.port}{API}", timeout=timeout) as http:
            while not (watched.done or watched.gone):
                why = "the stream ended"
                try:
                    for message in self._stream(http, path, watched, token):
                        token, watched.open_at = message["resume_token"], time.monotonic()
                        watched.heard += items(message)
                        watched.done = message["done"]
                except (httpx.HTTPError, json.JSONDecodeError) as error:
                    why = repr(error)
                    watched.breaks[type(error).__name__] += 1
                waited = time.monotonic() - watched.open_at
                assert waited < PATIENCE_SECONDS, f"{path} doesn't go on: {why}"
                time.sleep(0.1)

    def _stream(
        self, http: httpx.Client, path: str, watched: Watched, token: str
    ) -> Iterator[dict[str, Any]]:
        """The messages of one stream, until it breaks."""
        query = {"resume_token": token} if token else {}
        watched.streams += 1
        with http.stream("GET", path, params=query) as reply:
            watched.gone = reply.status_code == httpx.codes.NOT_FOUND
            if watched.gone:
                return
            if reply.status_code != httpx.codes.OK:
                text = f"{reply.status_code} {reply.read()!r}"
                assert reply.status_code in NOT_NOW, text
                raise httpx.HTTPStatusError(text, request=reply.request, response=reply)
            watched.open_at = time.monotonic()
            for line in reply.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))
