"""What has to be true of a suite after chaos, judged by what its processes wrote down themselves."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import redis

from support.chaos import Accepted
from support.suite import Suite
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.kernel.bus.envelope import decode
from swiftletd.runner.rundir import RunDir

END = ("completed", "failed", "cancelled")
NUMBERED = re.compile(r"^(\d{8}) x+$")


class Aftermath:
    """The suite when it is quiet. Each check gives a list of complaints; none if all is well."""

    def __init__(self, suite: Suite, accepted: Mapping[str, Accepted]) -> None:
        self._suite, self._accepted = suite, accepted
        self._jobs = {job_id: suite.job(job_id) for job_id in accepted}
        self._redis = redis.Redis(unix_socket_path=str(suite.home / "h" / "run" / "redis.sock"))
        self._gpu = self._events("swiftlet:{gpu}:events")
        self._runs = dict(self._directories())

    def counts(self) -> str:
        """How many jobs, by kind and state, and how many attempts."""
        states = Counter((self._accepted[id].kind.name, job["status"]) for id, job in self._jobs.items())
        told = ", ".join(f"{count} {kind} {state}" for (kind, state), count in sorted(states.items()))
        return f"{len(self._jobs)} jobs ({told}), {len(self._runs)} attempts that ran"

    def complaints(self) -> list[str]:
        """Everything that is wrong."""
        checks = (self._unfinished, self._ended_otherwise, self._ran_twice, self._unknown_runs)
        more = (self._told_otherwise, self._leases, self._steps_overlap, self._lines, self._left)
        return [complaint for check in (*checks, *more) for complaint in check()]

    def _directories(self) -> Iterator[tuple[str, RunDir]]:
        for path in sorted((self._suite.home / "h" / "runs" / "training").glob("*/*")):
            yield f"training-{path.parent.name}-{path.name}", RunDir(path)

    def _events(self, stream: str) -> list[Event]:
        return [decode(fields) for _, fields in self._redis.xrange(stream)]

    def _unfinished(self) -> Iterator[str]:
        for job_id, job in self._jobs.items():
            if job["status"] not in END:
                yield f"{job_id} is {job['status']}: {job}"

    def _ended_otherwise(self) -> Iterator[str]:
        """The state a job ended in is the one its process gave it, and the one that its kind foretells."""
        for job_id, job in self._jobs.items():
            asked, status = self._accepted[job_id], job["status"]
            wanted = "cancelled" if asked.stop_asked else asked.kind.ends
            if status != wanted:
                yield f"{job_id} ({asked.kind.name}) is {status}, not {wanted}: {job['error_message']}"
            ran = [self._trained(run) for run in self._of(job_id)]
            if status != "cancelled" and (not ran or ran[-1] != (status == "completed")):
                yield f"{job_id} is {status}, its processes succeeded: {ran}"
            if status != "cancelled" and len(ran) != 1 + asked.kind.retries:
                yield f"{job_id} ({asked.kind.name}) had {len(ran)} attempts"

    def _told_otherwise(self) -> Iterator[str]:
        """What the API tells about each attempt, and about the export, is what the runner wrote down."""
        for job_id, job in self._jobs.items():
            if job["status"] == "cancelled":
                continue
            told = [(attempt["number"], attempt["exit_code"]) for attempt in job["attempts"]]
            steps = [(int(run.path.name), run.steps()) for run in self._of(job_id)]
            real = [(number, done[0]["exit_code"]) for number, done in sorted(steps) if done]
            if told != real:
                yield f"{job_id}: attempts and exit codes are {real}, the API tells {told}"
            merged = [step["success"] for _, done in steps for step in done if step["step"] == "export"]
            if merged and merged != [job["export_completed"]]:
                yield f"{job_id}: the export succeeded: {merged}, the API tells {job['export_completed']}"

    def _of(self, job_id: str) -> list[RunDir]:
        return [run for name, run in self._runs.items() if name.rpartition("-")[0] == f"training-{job_id}"]

    def _trained(self, run: RunDir) -> bool:
        return any(step["success"] for step in run.steps() if step["step"] == "train")

    def _ran_twice(self) -> Iterator[str]:
        """One runner and one child for each step, and an end that the runner itself wrote."""
        runners: dict[str, set[int]] = defaultdict(set)
        for event in self._events("swiftlet:{runs}:events"):
            if event.WhichOneof("payload") == "run_started":
                runners[event.run_started.run].add(event.run_started.runner_pid)
        for name, run in self._runs.items():
            begun = sum("[INFO:swift] output_dir:" in text for text in _texts(run))
            steps = Counter(step["step"] for step in run.steps())
            if begun > 1 or any(count > 1 for count in steps.values()) or len(runners[name]) > 1:
                yield f"{name} ran more than once: {begun} trainings, {steps}, runners {runners[name]}"
            if (end := run.exit()) is None or end["lost"]:
                yield f"{name} was lost: {end}"

    def _unknown_runs(self) -> Iterator[str]:
        for name in self._runs:
            if name.removeprefix("training-").rpartition("-")[0] not in self._jobs:
                yield f"{name} belongs to no job that was accepted"

    def _leases(self) -> Iterator[str]:
        """From the events: a device has one owner at a time, each lease begins and ends once."""
        owner: dict[str, str] = {}
        held: dict[str, list[str]] = {}
        granted: Counter[str] = Counter()
        for event in self._gpu:
            match event.WhichOneof("payload"):
                case "lease_granted":
                    entry, devices = event.lease_granted.entry, list(event.lease_granted.devices)
                    granted[entry] += 1
                    held[entry] = devices
                    for device in devices:
                        if other := owner.get(device):
                            yield f"{device} belongs to {other} and to {entry}"
                        owner[device] = entry
                case "lease_ended":
                    for device in held.pop(event.lease_ended.entry, ["?"]):
                        if owner.pop(device, None) != event.lease_ended.entry:
                            yield f"{event.lease_ended.entry} gave back {device}, which it did not hold"
        yield from (f"{entry} has a lease still" for entry in held)
        yield from (f"{entry} was granted {count} times" for entry, count in granted.items() if count > 1)
        yield from (f"{name} ran without a lease" for name in self._runs if name not in granted)

    def _steps_overlap(self) -> Iterator[str]:
        """From the run directories: what ran on one device ran one after the other."""
        times: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for event in self._gpu:
            if event.WhichOneof("payload") == "lease_granted" and event.lease_granted.entry in self._runs:
                for step in self._runs[event.lease_granted.entry].steps():
                    for device in event.lease_granted.devices:
                        row = (step["started_at"], step["ended_at"], event.lease_granted.entry)
                        times[device].append(row)
        for device, rows in times.items():
            for (_, end, first), (begin, _, second) in itertools.pairwise(sorted(rows)):
                if begin < end:
                    yield f"{first} and {second} ran on {device} at {begin}"

    def _lines(self) -> Iterator[str]:
        """Each printed line is there once, in order, and the API shows what the files hold."""
        for name, run in self._runs.items():
            job_id, _, attempt = name.removeprefix("training-").rpartition("-")
            if job_id not in self._jobs:
                continue
            raw = _texts(run)
            numbers = [int(found[1]) for text in raw if (found := NUMBERED.match(text))]
            kind = self._accepted[job_id].kind
            whole = kind.fake["print_lines"]
            if numbers != list(range(len(numbers))) or (not kind.stopped and len(numbers) != whole):
                yield f"{name} printed {whole} lines; the log has {len(numbers)}: {numbers[:30]}"
            if (shown := self._shown(job_id, int(attempt))) != raw:
                yield f"{name} has {len(raw)} lines in its files and {len(shown)} over REST"

    def _shown(self, job_id: str, attempt: int) -> list[str]:
        lines: list[str] = []
        offset = 0.0
        while True:
            page: dict[str, Any] = self._suite.get(
                f"/training/jobs/{job_id}/logs", attempt=attempt, offset=int(offset), limit=1000
            )
            lines += [line["message"] for line in page["logs"]]
            if not page["logs"] or page["next_offset"] == offset:
                return lines
            offset = page["next_offset"]

    def _left(self) -> Iterator[str]:
        """Nothing runs, nothing waits, no device is taken, no message was given up."""
        yield from (f"process {p.pid} is left: {p.info['cmdline']}" for p in runs_alive(self._suite))
        yield from (f"{i['job_id']} waits still" for i in self._suite.get("/training/queue")["queue_items"])
        for gpu in self._suite.get("/training/gpus")["gpus"]:
            if not gpu["available"]:
                yield f"a device is not free: {gpu}"
        for key in self._redis.keys("swiftlet:*:dead:*"):
            yield f"{key.decode()} holds {self._redis.xlen(key)} messages"


def runs_alive(suite: Suite) -> list[psutil.Process]:
    """Runners of this suite and what they started."""
    runs, out = str(suite.home / "h" / "runs"), str(suite.home / "out")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or ())
        if runs in words or out in words:
            found.append(process)
    return found


def quiet(suite: Suite, accepted: Mapping[str, Accepted]) -> bool:
    """Every job has ended, with its export, and so has every process."""
    for job_id in accepted:
        if suite.job(job_id)["status"] not in END:
            return False
    if runs_alive(suite) or suite.get("/training/queue")["queue_items"]:
        return False
    return all(gpu["available"] for gpu in suite.get("/training/gpus")["gpus"])


def _texts(run: RunDir) -> list[str]:
    texts: list[str] = []
    lines, offset = run.read_log(0, 1 << 20)
    while lines:
        texts += [line.text for line in lines]
        lines, offset = run.read_log(offset, 1 << 20)
    return texts


def last_words(suite: Suite, directory: Path) -> Path:
    """The logs of the suite's parts, kept for whoever looks into a failure."""
    kept = directory / "suite.log"
    files = sorted((suite.home / "h" / "logs").glob("*.log"))
    kept.write_text("\n".join(f"--- {file.name}\n{file.read_text(errors='replace')}" for file in files))
    return kept
