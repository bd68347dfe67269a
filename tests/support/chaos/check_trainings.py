"""Every job is in the state that its processes gave it, and each attempt ran once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from support.chaos.aftermath import END, Aftermath, runs_of
from support.chaos.kinds import Training
from support.chaos.runs import TRAINING, Ran
from support.chaos.victims import CHILD, RUNNER

KILLED = -9


def ended_as_they_did(after: Aftermath) -> Iterator[str]:
    """The state of a job and of its attempts, against what the run directories tell."""
    for job_id, job, attempts, _ in after.trainings():
        training = after.story.trainings[job_id]
        told = [(a["number"], a["state"], a["exit_code"]) for a in job["attempts"]]
        if job["status"] not in END:
            yield f"{job_id} is {job['status']}: {job}"
        elif job["status"] == "cancelled":
            if not training.stopped:
                yield f"{job_id} is cancelled, though nobody stopped it"
        elif training.stopped or not attempts:
            yield f"{job_id} is {job['status']}; stopped: {training.stopped}, attempts: {told}"
        else:
            real = [(int(run.label), *_outcome(run)) for run in attempts]
            if told != real:
                yield f"{job_id}: its attempts were {real}, the API tells {told}"
            yield from _state(job_id, job, attempts)
            yield from _tries(job_id, training, attempts)


def _state(job_id: str, job: Any, attempts: list[Ran]) -> Iterator[str]:
    state, code = _outcome(attempts[-1])
    if job["status"] != ("completed" if state == "completed" else "failed"):
        yield f"{job_id} is {job['status']}, its last attempt {state}"
    reason = {("lost", -1): "LOST", ("failed", KILLED): "KILLED"}.get((state, code))
    if reason and job["failure_reason"] != reason:
        yield f"{job_id} failed for {job['failure_reason']}, not {reason}"


def _tries(job_id: str, training: Training, attempts: list[Ran]) -> Iterator[str]:
    """One more attempt after each that is worth it, as often as the job allows, and none else."""
    outcomes = [_outcome(run) for run in attempts]
    again = [state == "lost" or code == KILLED for state, code in outcomes]
    due = next((n for n, retry in enumerate(again, 1) if not retry or n > training.kind.retries), None)
    if len(attempts) != due:
        yield f"{job_id} ({training.kind.name}) had {len(attempts)} attempts, {due} were due: {outcomes}"


def ended_as_foretold(after: Aftermath) -> Iterator[str]:
    """An attempt that nobody hurt ended as its kind says. Only where a runner was killed is one lost."""
    for job_id, _, attempts, _ in after.trainings():
        training = after.story.trainings[job_id]
        for run in attempts:
            hurt, (state, code) = after.story.hurt.get(run.name, set()), _outcome(run)
            wanted = (training.kind.ends, training.kind.exit_code)
            allowed = {wanted}
            if RUNNER in hurt:
                allowed.add(("lost", -1))
            if CHILD in hurt:
                allowed.add(("failed", KILLED))
            if not training.stopped and (state, code) not in allowed:
                text = f"hurt: {hurt or 'no'}, it said {run.texts[-30:]}"
                yield f"{run.name} ({training.kind.name}) ended as {state} {code}, {text}"


def _outcome(run: Ran) -> tuple[str, int]:
    """How an attempt ended, in the words of the API, and its exit code."""
    step = run.step("train")
    if step is None:
        return "lost", -1
    return ("completed" if step["success"] else "failed"), step["exit_code"]


def exported_as_they_were(after: Aftermath) -> Iterator[str]:
    """What the API tells of the export is what the last run that made one wrote down."""
    for job_id, job, attempts, exports in after.trainings():
        if job["status"] != "completed":
            continue
        spec = attempts[-1].run.spec() or {}
        last = exports[-1] if exports else attempts[-1]
        done = last.step("export")
        merges = exports or any(step["name"] == "export" for step in spec["steps"])
        good = bool(done and done["success"]) if merges else True
        if good != job["export_completed"] or good == bool(job["export_error"]):
            told = f"{job['export_completed']} {job['export_error']!r}"
            yield f"{job_id}: the export of {last.name} succeeded: {good}, the API tells {told}"
        if not good and last.name not in after.story.hurt:
            yield f"{last.name} did not export, though nobody hurt it"


def ran_once(after: Aftermath) -> Iterator[str]:
    """One runner and one child for each step, and an end that was written down."""
    runners: dict[str, set[int]] = defaultdict(set)
    for event in after.events("swiftlet:{runs}:events"):
        if event.WhichOneof("payload") == "run_started":
            runners[event.run_started.run].add(event.run_started.runner_pid)
    for name, run in after.runs.items():
        begun = Counter(text for text in run.texts if text.startswith("Step ") and " started as " in text)
        steps = Counter(step["step"] for step in run.steps)
        started = Counter(text.split()[1] for text in begun)
        if any(count > 1 for count in (*steps.values(), *started.values())) or len(runners[name]) > 1:
            yield f"{name} ran more than once: {begun}, {steps}, runners {runners[name]}"
        if run.run.exit() is None and run.owner not in after.serving():
            yield f"{name} has no end"


def nothing_unasked(after: Aftermath) -> Iterator[str]:
    """No run of a job that nobody asked for, none of one that was deleted."""
    for name, run in after.runs.items():
        known = after.jobs if run.kind == "training" else after.deployments
        if run.owner not in known:
            yield f"{name} is still there, and its job is not"


def held_back(after: Aftermath) -> Iterator[str]:
    """Who was held was granted nothing."""
    for event in after.gpu:
        if event.WhichOneof("payload") != "lease_granted":
            continue
        job_id, at = event.lease_granted.entry.rpartition("-")[0].removeprefix("training-"), event.time
        training = after.story.trainings.get(job_id)
        for begin, end in training.held if training else ():
            if _rfc3339(begin) < at < _rfc3339(end):
                yield f"{job_id} was granted GPUs at {at}, while it was held"


def _rfc3339(seconds: float) -> str:
    from swiftletd.kernel.ids import rfc3339

    return rfc3339(seconds) if seconds != float("inf") else "9999"


def deleted_are_gone(after: Aftermath) -> Iterator[str]:
    """A deleted job leaves no directory, no record, no place in the queue."""
    for job_id, training in after.story.trainings.items():
        if not training.deleted:
            continue
        for key in ("job", "history"):
            if after.redis.exists(f"swiftlet:{{training}}:{key}:{job_id}"):
                yield f"{job_id} was deleted, its {key} is still in Redis"
        if after.redis.sismember("swiftlet:{training}:unfinished", job_id):
            yield f"{job_id} was deleted and counts as unfinished"
        if runs_of(after.suite, TRAINING, job_id).exists():
            yield f"{job_id} was deleted, its run directories are there"
