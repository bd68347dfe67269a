"""The suite when it is quiet: what it tells, what its processes wrote down, what was asked of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import psutil
import redis

from support.chaos.kinds import Story
from support.chaos.runs import DEPLOY, TRAINING, Ran, all_runs
from support.chaos.watching import Watchers
from support.suite import Suite
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.kernel.bus.envelope import decode

END = ("completed", "failed", "cancelled")


class Aftermath:
    """Everything that the checks look at, read once."""

    def __init__(self, suite: Suite, story: Story, watchers: Watchers) -> None:
        self.suite, self.story, self.watchers = suite, story, watchers
        self.redis = redis.Redis(unix_socket_path=str(suite.home / "h" / "run" / "redis.sock"))
        self.jobs: dict[str, Any] = {job_id: suite.job(job_id) for job_id in story.kept()}
        self.deployments = {key: suite.get(f"/deploy/jobs/{key}") for key in story.kept_servers()}
        self.runs = {run.name: run for run in all_runs(suite)}
        self.gpu = self.events("swiftlet:{gpu}:events")

    def events(self, stream: str) -> list[Event]:
        return [decode(fields) for _, fields in self.redis.xrange(stream)]

    def of(self, kind: str, owner: str) -> list[Ran]:
        """The runs of a job or deployment, attempts first, in their order."""
        return [run for run in self.runs.values() if (run.kind, run.owner) == (kind, owner)]

    def trainings(self) -> Iterator[tuple[str, Any, list[Ran], list[Ran]]]:
        """Each job that was kept: its id, what the API tells, its attempts, its later exports."""
        for job_id, job in self.jobs.items():
            runs = self.of(TRAINING, job_id)
            yield job_id, job, [r for r in runs if r.is_attempt], [r for r in runs if not r.is_attempt]

    def servers(self) -> Iterator[tuple[str, Any, list[Ran]]]:
        """Each deployment: its id, what the API tells, its runs."""
        for key, deployment in self.deployments.items():
            yield key, deployment, self.of(DEPLOY, key)

    def serving(self) -> dict[str, Any]:
        """The deployments that run."""
        return {key: it for key, it in self.deployments.items() if it["status"] == "running"}

    def leases(self) -> dict[str, list[str]]:
        """From the events: which devices each run was granted."""
        granted = (e.lease_granted for e in self.gpu if e.WhichOneof("payload") == "lease_granted")
        return {grant.entry: list(grant.devices) for grant in granted}

    def by_device(self) -> dict[str, list[Ran]]:
        """The runs whose processes were on each device."""
        found: dict[str, list[Ran]] = defaultdict(list)
        for entry, devices in self.leases().items():
            if (run := self.runs.get(entry)) and run.begun_at:
                for device in devices:
                    found[device].append(run)
        return found


def runs_alive(suite: Suite, *, but: Collection[str] = ()) -> list[psutil.Process]:
    """Runners of this suite and what they started, except those of some owners."""
    places = str(suite.home / "h" / "runs"), str(suite.home / "out")
    found = []
    for process in psutil.process_iter(["cmdline", "environ", "cwd"]):
        words = " ".join((*(process.info["cmdline"] or ()), process.info["cwd"] or ""))
        run = (process.info["environ"] or {}).get("SWIFTLET_RUN", "")
        ours = any(place in words for place in places)
        if ours and not any(owner in words or owner in run for owner in but):
            found.append(process)
    return found


class Quiet:
    """Whether jobs and their exports have ended, deleted ones are gone, and deployments rest or serve."""

    def __init__(self, suite: Suite, story: Story) -> None:
        self._suite, self._story = suite, story
        self._ended: set[str] = set()

    def __call__(self) -> bool:
        """Look now; jobs that had ended are not looked at again."""
        for job_id in self._story.kept().keys() - self._ended:
            if not _has_ended(self._suite.job(job_id)):
                return False
            self._ended.add(job_id)
        if any(path.exists() for path in self._deleted()):
            return False
        get = self._suite.get
        states = {key: get(f"/deploy/jobs/{key}")["status"] for key in self._story.kept_servers()}
        if get("/training/queue")["queue_items"] or not set(states.values()) <= {"running", *END}:
            return False
        serving = {key for key, state in states.items() if state == "running"}
        taken = [gpu for gpu in get("/training/gpus")["gpus"] if not gpu["available"]]
        return len(taken) == len(serving) and not runs_alive(self._suite, but=serving)

    def _deleted(self) -> Iterator[Path]:
        """Where the runs of what was deleted have been."""
        for kind, things in ((TRAINING, self._story.trainings), (DEPLOY, self._story.servers)):
            yield from (runs_of(self._suite, kind, key) for key, it in things.items() if it.deleted)


def runs_of(suite: Suite, kind: str, owner: str) -> Path:
    """Where the runs of a job or deployment are."""
    return suite.home / "h" / "runs" / kind / owner


def _has_ended(job: Any) -> bool:
    if job["status"] != "completed":
        return job["status"] in END
    return bool(job["export_completed"] or job["export_error"])


def last_words(suite: Suite, directory: Path) -> Path:
    """The logs of the suite's parts, kept for whoever looks into a failure."""
    kept = directory / "suite.log"
    files = sorted((suite.home / "h" / "logs").glob("*.log"))
    kept.write_text("\n".join(f"--- {file.name}\n{file.read_text(errors='replace')}" for file in files))
    return kept
