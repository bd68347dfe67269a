"""Each line of a log and each event of a job is there once: on disk, over REST, and for subscribers."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.chaos.aftermath import Aftermath
from support.chaos.kinds import REAL
from support.chaos.runs import Ran
from support.suite import Suite

NUMBERED = re.compile(r"^(\d{8}) x+$")


def printed_once(after: Aftermath) -> Iterator[str]:
    """What the double printed is in the log once, in order; all of it where nobody cut it short."""
    for job_id, _, attempts, _ in after.trainings():
        training = after.story.trainings[job_id]
        whole = training.kind.fake.get("print_lines", 0)
        for run in attempts:
            numbers = [int(found[1]) for text in run.texts if (found := NUMBERED.match(text))]
            cut = training.stopped or run.name in after.story.hurt
            if numbers != list(range(len(numbers))) or (len(numbers) != whole and not cut):
                yield f"{run.name} printed {whole} lines, the log has {len(numbers)}: {numbers[:30]}"


def shown_as_written(after: Aftermath) -> Iterator[str]:
    """REST shows what the files hold."""
    for job_id, _, attempts, _ in after.trainings():
        for run in attempts:
            raw = run.texts
            if (shown := _over_rest(after.suite, job_id, int(run.label))) != raw:
                yield f"{run.name} has {len(raw)} lines in its files and {len(shown)} over REST"


def _over_rest(suite: Suite, job_id: str, attempt: int) -> list[str]:
    lines: list[str] = []
    offset = 0.0
    while True:
        page: dict[str, Any] = suite.get(
            f"/training/jobs/{job_id}/logs", attempt=attempt, offset=int(offset), limit=1000
        )
        lines += [line["message"] for line in page["logs"]]
        if not page["logs"] or page["next_offset"] == offset:
            return lines
        offset = page["next_offset"]


def followed_once(after: Aftermath) -> Iterator[str]:
    """Who followed a log heard each line once, from the attempt on that was the latest when he came."""
    for job_id, watched in after.watchers.logs.items():
        if job_id not in after.jobs:
            continue
        if not watched.done:
            yield f"the log of {job_id} came to no end"
        attempts = [run for run in after.of("training", job_id) if run.is_attempt]
        first = watched.heard[0]["attempt"] if watched.heard else 1
        written = [(int(r.label), text) for r in attempts if int(r.label) >= first for text in r.texts]
        heard = [(line["attempt"], line["message"]) for line in watched.heard]
        if heard != written:
            yield f"{job_id} has {len(written)} lines; {_difference(heard, written)}"


def _difference(heard: list[Any], written: list[Any]) -> str:
    pairs = zip(heard, written, strict=False)
    at = next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(heard), len(written)))
    return f"{len(heard)} were heard; from {at} on {heard[at : at + 3]} and not {written[at : at + 3]}"


def told_once(after: Aftermath) -> Iterator[str]:
    """Who followed the events of a job heard what its history holds, up to where the job had ended."""
    for job_id, watched in after.watchers.events.items():
        if job_id not in after.jobs:
            continue
        history = after.suite.get(f"/training/jobs/{job_id}/events", limit=500)["events"]
        heard, kept = [event["id"] for event in watched.heard], [event["id"] for event in history]
        later = [event for event in history[len(heard) :] if "export" not in event["type"]]
        if heard != kept[: len(heard)] or later or not watched.done:
            yield f"{job_id}: {len(heard)} events were heard, {len(kept)} kept: {heard} {kept}"


def real_is_whole(after: Aftermath) -> Iterator[str]:
    """The real training has a row for each step, in its log and in its own file."""
    for job_id, job, attempts, _ in after.trainings():
        if after.story.trainings[job_id].kind is not REAL or job["status"] != "completed":
            continue
        wanted = [f"{step}/{REAL.steps}" for step in range(1, REAL.steps + 1)]
        printed = [row["global_step/max_steps"] for row in _rows(attempts[-1]) if "loss" in row]
        if printed != wanted:
            yield f"{job_id} printed the steps {printed}"
        (file,) = sorted(Path(job["checkpoint_path"]).parent.glob("logging.jsonl"))
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        if [row["global_step/max_steps"] for row in rows if "loss" in row] != wanted:
            yield f"{job_id} has other steps in {file}"
        if sum("train_runtime" in row for row in _rows(attempts[-1])) != 1:
            yield f"{job_id} has no final row, or more than one"


def _rows(run: Ran) -> list[dict[str, Any]]:
    """The dict lines that ms-swift prints."""
    return [ast.literal_eval(text) for text in run.texts if text.startswith("{'")]
