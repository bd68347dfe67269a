"""Each deployment is in the state that its model server gave it, or gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from support.chaos.aftermath import Aftermath, runs_of
from support.chaos.kinds import Served
from support.chaos.runs import DEPLOY, Ran, alive
from support.chaos.victims import SERVER, SERVER_RUNNER


def serve_as_they_say(after: Aftermath) -> Iterator[str]:
    """The state of each deployment, against its last run and what its clients want."""
    for key, deployment, runs in after.servers():
        served = after.story.servers[key]
        last, status = (runs[-1] if runs else None), deployment["status"]
        hurt = after.story.hurt.get(last.name, set()) if last else set()
        match status:
            case "running" if last is None or not served.wanted:
                yield f"{key} runs; wanted: {served.wanted}, runs: {len(runs)}"
            case "running":
                yield from _lives(after, key, deployment, last)
            case "failed":
                yield from _failed(key, deployment, served, last, hurt)
            case "cancelled":
                if served.wanted or not served.stops:
                    yield f"{key} is cancelled, though it is wanted"
            case _:
                yield f"{key} is {status}: {deployment}"


def _lives(after: Aftermath, key: str, deployment: Any, last: Ran) -> Iterator[str]:
    child = last.run.child() or {}
    if last.run.exit() or not alive(child["pid"], child["start_time"]):
        yield f"{key} runs, its model server does not: {last.run.exit()} {last.steps}"
        return
    if deployment["process_id"] != child["pid"]:
        yield f"{key} runs as {child['pid']}, the API tells {deployment['process_id']}"
    for url in (f"http://127.0.0.1:{deployment['deploy_port']}", f"{after.suite.api.base_url}/serve/{key}"):
        reply = httpx.get(f"{url}/v1/models", timeout=10)
        if reply.status_code != httpx.codes.OK or reply.json()["data"][0]["id"] != key:
            yield f"{key} does not answer at {url}: {reply.status_code} {reply.text}"


def _failed(key: str, deployment: Any, served: Served, last: Ran | None, hurt: set[str]) -> Iterator[str]:
    if last is None:
        yield f"{key} failed without a run: {deployment['error_message']}"
        return
    step, reason = last.step("serve"), deployment["failure_reason"]
    if step is None:
        if reason != "LOST" or SERVER_RUNNER not in hurt:
            yield f"{key} lost its runner and is failed for {reason}, hurt: {hurt}"
    elif step["stopped"] or step["exit_code"] == 0:
        yield f"{key} is failed for {reason}, its model server was stopped: {step}"
    elif step["exit_code"] < 0:
        if reason != "KILLED" or SERVER not in hurt:
            yield f"{key} was killed and is failed for {reason}, hurt: {hurt}"
    elif reason != "PROCESS_FAILED" or served.kind.ends != "failed":
        yield f"{key} ({served.kind.name}) is failed for {reason}: {deployment['error_message']}"


def deleted_are_gone(after: Aftermath) -> Iterator[str]:
    """A deleted deployment leaves no directory, no record, no place in a list."""
    listed = {it["job_id"] for it in after.suite.get("/deploy/jobs", size=100)["deployments"]}
    for key in after.story.servers.keys() - after.story.kept_servers().keys():
        if key in listed:
            yield f"{key} was deleted and is listed"
        if after.redis.exists(f"swiftlet:{{deploy}}:deployment:{key}"):
            yield f"{key} was deleted, its record is still in Redis"
        if after.redis.sismember("swiftlet:{deploy}:unfinished", key):
            yield f"{key} was deleted and counts as unfinished"
        if runs_of(after.suite, DEPLOY, key).exists():
            yield f"{key} was deleted, its run directories are there"
