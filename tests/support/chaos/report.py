"""The counts of a chaos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from support.chaos.aftermath import Aftermath
from support.chaos.faults import Faults
from support.chaos.runs import DEPLOY


def report(after: Aftermath, faults: Faults, answers: Mapping[str, int], seconds: float) -> str:
    """What was asked, done and found, in some lines."""
    return "\n".join(
        (
            f"\nseed {faults.seed}, {seconds:.0f} s",
            f"{len(after.story.trainings)} jobs: {_trainings(after)}",
            f"{len(after.story.servers)} deployments: {_deployments(after)}",
            f"runs that are kept: {_runs(after)}",
            f"{sum(faults.done.values())} faults: {_told(faults.done)}",
            f"faults that found nobody: {_told(faults.missed) or 'none'}",
            f"log lines: {_lines(after)}",
            f"longest from the fault until all was well: {_slowest(faults)}",
            f"answers: {_told(answers)}",
        )
    )


def _trainings(after: Aftermath) -> str:
    kinds = {job_id: training.kind.name for job_id, training in after.story.trainings.items()}
    states = {job_id: job["status"] for job_id, job in after.jobs.items()}
    counts = Counter(f"{kind} {states.get(job_id, 'gone')}" for job_id, kind in kinds.items())
    attempts = Counter(a["state"] for job in after.jobs.values() for a in job["attempts"])
    return f"{_told(counts)}; attempts: {_told(attempts)}"


def _deployments(after: Aftermath) -> str:
    kinds = {key: served.kind.name for key, served in after.story.servers.items()}
    states = {key: it["status"] for key, it in after.deployments.items()}
    counts = Counter(f"{kind} {states.get(key, 'gone')}" for key, kind in kinds.items())
    started = sum(run.kind == DEPLOY for run in after.runs.values())
    return f"{_told(counts)}; model servers started: {started}"


def _runs(after: Aftermath) -> str:
    kinds = Counter(run.kind if run.is_attempt else "export again" for run in after.runs.values())
    return f"{_told(kinds)}; lost: {sum(run.lost and bool(run.run.exit()) for run in after.runs.values())}"


def _lines(after: Aftermath) -> str:
    written = sum(len(run.texts) for run in after.runs.values())
    logs, events = after.watchers.logs.values(), after.watchers.events.values()
    breaks = sum((watched.breaks for watched in (*logs, *events)), start=Counter[str]())
    return (
        f"{written} in the files; {sum(len(w.heard) for w in logs)} heard live by {len(logs)} subscribers"
        f" in {sum(w.streams for w in (*logs, *events))} streams, cut off by {_told(breaks) or 'nothing'};"
        f" {sum(len(w.heard) for w in events)} events by {len(events)} subscribers"
    )


def _slowest(faults: Faults) -> str:
    parts = sorted(faults.recoveries.items())
    return ", ".join(f"{part} {max(seconds):.1f} s of {len(seconds)}" for part, seconds in parts)


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
