"""Kills and freezes what runs, and measures how long it takes until all is well again."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from support.chaos.kinds import Story
from support.chaos.victims import OF_RUNS, PARTS, RUNNER, SUPERVISOR, Victim, Victims
from support.suite import API, Suite
from support.waiting import eventually
from swiftletd.runner.processes import read_process, send

PROBES = ("/training/jobs", "/training/queue", "/deploy/jobs")
RECOVERY_SECONDS = 60.0
VICTIM_SECONDS = 20.0  # so long it waits for somebody to run who can be hit
DECK = (
    *(("kill", part) for part in (*PARTS, *OF_RUNS, SUPERVISOR)),
    *(("freeze", part) for part in (*PARTS, RUNNER)),
)


@dataclass
class Faults:
    """Each kind of fault comes once before one comes again."""

    suite: Suite
    story: Story
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = time.monotonic()
        self._random = random.Random(f"faults {self.seed}")
        self.victims = Victims(self.suite, self._random)
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.suite.port}{API}", timeout=2)

    def inject(self, count: int) -> None:
        """So many faults; after half of them it waits until all is well, after the others it doesn't."""
        deck: list[tuple[str, str]] = []
        for _ in range(count):
            deck = deck or self._random.sample(DECK, len(DECK))
            how, what = deck.pop()
            patient, between = self._random.random() < 0.5, self._random.uniform(0.2, 1.2)
            self._strike(how, what, self._random.uniform(0.5, 4), patient=patient)
            time.sleep(between)
        self.wait_until_well()
        self._http.close()

    def _strike(self, how: str, what: str, pause: float, *, patient: bool) -> None:
        if patient:
            self.wait_until_well()
        victim = self._find(what)
        self.history.append(f"{time.monotonic() - self._began:.1f} s: {how} {what} {victim or 'nobody'}")
        if victim is None:
            self.missed[f"{how} {what}"] += 1
        elif how == "freeze":
            self._freeze(victim, pause)
            self.done[f"freeze {what}"] += 1
        else:
            self._kill(victim, what, measured=patient)
            self.done[f"kill {what}"] += 1

    def _find(self, what: str) -> Victim | None:
        """Parts are always there, or will be in a moment; of runs there may be none."""
        patience = VICTIM_SECONDS if what in OF_RUNS else RECOVERY_SECONDS
        deadline = time.monotonic() + patience
        while (victim := self.victims.find(what)) is None:
            if time.monotonic() >= deadline:
                assert what in OF_RUNS, f"{what} was not started again\n{self.suite.logs()}"
                return None
            time.sleep(0.05)
        return victim

    def _freeze(self, victim: Victim, seconds: float) -> None:
        _signal(victim, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            _signal(victim, signal.SIGCONT)

    def _kill(self, victim: Victim, what: str, *, measured: bool) -> None:
        began = time.monotonic()
        if victim.run:
            self.story.hurt.setdefault(victim.run.name, set()).add(what)
        _signal(victim, signal.SIGKILL)
        if what == SUPERVISOR:
            eventually(lambda: not victim.is_alive, "the supervisor does not die")
            self.suite.up()
        if measured:
            self.wait_until_well()
            if run := victim.run:
                self._wait(lambda: self._is_over(run.kind, run.owner, run.label), f"{run.name} isn't over")
            self.recoveries.setdefault(what, []).append(time.monotonic() - began)

    def wait_until_well(self) -> None:
        """Until each service answers through the gateway, its own store included."""
        self._wait(lambda: all(self._get(path) is not None for path in PROBES), "the suite is not well")

    def _wait(self, condition: Callable[[], bool], complaint: str) -> None:
        eventually(condition, complaint, self.suite.logs, RECOVERY_SECONDS)

    def _is_over(self, kind: str, owner: str, label: str) -> bool:
        """Whether the API knows that a run has ended."""
        job = self._get(f"/{kind}/jobs/{owner}")
        if job is None:
            return not self._exists(kind, owner)
        if label.isdecimal() and kind == "training":
            return all(a["state"] != "running" for a in job["attempts"] if a["number"] == int(label))
        return job["status"] in {"completed", "failed", "cancelled"}

    def _exists(self, kind: str, owner: str) -> bool:
        try:
            return self._http.get(f"/{kind}/jobs/{owner}").status_code != httpx.codes.NOT_FOUND
        except httpx.HTTPError:
            return True

    def _get(self, path: str) -> dict | None:
        try:
            reply = self._http.get(path)
        except httpx.HTTPError:
            return None
        return reply.json() if reply.status_code == httpx.codes.OK else None


def _signal(victim: Victim, number: signal.Signals) -> None:
    """To this very process, and never to a later one of its pid."""
    process = read_process(victim.pid)
    if process and process.start_time == victim.start_time:
        send(process, number)
