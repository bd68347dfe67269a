"""No device and no port had two owners at any time, and none is left taken."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator

import psutil

from support.chaos.aftermath import Aftermath, runs_alive
from support.chaos.runs import DEPLOY, Ran
from swiftletd.runner.processes import MARK, environment


def one_owner(after: Aftermath) -> Iterator[str]:
    """From the events: a device has one owner at a time, each lease begins and ends once."""
    owner: dict[str, str] = {}
    held: dict[str, list[str]] = {}
    granted: Counter[str] = Counter()
    for event in after.gpu:
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
    serving = {name for name, run in after.runs.items() if run.owner in after.serving()}
    yield from (f"{entry} has a lease still" for entry in held if entry not in serving)
    yield from (f"{entry} was granted {count} times" for entry, count in granted.items() if count > 1)
    needing = [run for run in after.runs.values() if run.is_attempt]
    yield from (f"{run.name} ran without a lease" for run in needing if run.name not in granted)


def none_expired(after: Aftermath) -> Iterator[str]:
    """Somebody was there for each lease: none ended because nobody was heard."""
    for event in after.gpu:
        if event.WhichOneof("payload") == "lease_ended" and event.lease_ended.state != "released":
            yield f"{event.lease_ended.entry} is {event.lease_ended.state}: {event.lease_ended.reason}"


def one_after_the_other(after: Aftermath) -> Iterator[str]:
    """From the run directories: what ran on one device, or at one port, ran one after the other."""
    places: dict[str, list[Ran]] = defaultdict(list, after.by_device())
    for run in after.runs.values():
        if run.kind == DEPLOY and run.begun_at:
            places[f"port {_port(run)}"].append(run)
    for place, runs in places.items():
        for first, second in itertools.pairwise(sorted(runs, key=lambda run: run.begun_at)):
            if second.begun_at < first.over_at:
                yield f"{first.name} and {second.name} were on {place} at {second.begun_at}"


def _port(run: Ran) -> int:
    return int((run.run.spec() or {})["env"]["SWIFTLET_PORT"])


def ports_are_free(after: Aftermath) -> Iterator[str]:
    """A port is leased to a deployment that serves, or free; and where it is free nobody of ours listens."""
    serving = {it["deploy_port"]: key for key, it in after.serving().items()}
    leased = {int(p): key.decode() for p, key in after.redis.hgetall("swiftlet:{deploy}:ports").items()}
    if leased != serving:
        yield f"ports are leased to {leased}, those that serve are {serving}"
    used = {_port(run) for run in after.runs.values() if run.kind == DEPLOY}
    # Suites beside this one have ports of the same range.
    for pid, port in _listeners():
        ours = environment(pid).get(MARK, "").startswith(str(after.suite.home))
        if ours and port in used - serving.keys():
            yield f"{pid} listens at port {port}, which is leased to nobody"


def _listeners() -> Iterator[tuple[int, int]]:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.pid:
            yield connection.pid, connection.laddr.port


def nothing_left(after: Aftermath) -> Iterator[str]:
    """Nothing runs, waits, or has a device, except those that serve; no message was given up."""
    serving = set(after.serving())
    for process in runs_alive(after.suite, but=serving):
        yield f"process {process.pid} is left: {process.info['cmdline']}"
    for item in after.suite.get("/training/queue")["queue_items"]:
        yield f"{item['job_id']} waits still"
    for gpu in after.suite.get("/training/gpus")["gpus"]:
        if not gpu["available"] and gpu["job_id"] not in serving:
            yield f"a device is not free: {gpu}"
    for key in after.redis.keys("swiftlet:*:dead:*"):
        yield f"{key.decode()} holds {after.redis.xlen(key)} messages"
