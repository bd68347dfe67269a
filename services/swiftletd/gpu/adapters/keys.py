"""Names of everything that the gpu service keeps in Redis."""

from __future__ import annotations

PREFIX = "swiftlet:{gpu}:"

EVENTS = PREFIX + "events"
WAITING = PREFIX + "waiting"
LIVE = PREFIX + "live"
HELD = PREFIX + "held"
FENCE = PREFIX + "fence"
PROCESSOR = PREFIX + "processor"
KEPT = PREFIX + "kept"
PROJECTS = PREFIX + "projects"
USED = PREFIX + "used"
DEVICES = PREFIX + "devices"
LEADER = PREFIX + "leader"
PARTS = PREFIX + "parts"

RUNS_EVENTS = "swiftlet:{runs}:events"


def entry(id: str) -> str:
    return f"{PREFIX}entry:{id}"


def lasted(similarity: str) -> str:
    return f"{PREFIX}lasted:{similarity}"


def alive(run: str) -> str:
    return f"swiftlet:{{runs}}:alive:{run}"


def stop(run: str) -> str:
    return f"swiftlet:{{runs}}:stop:{run}"
