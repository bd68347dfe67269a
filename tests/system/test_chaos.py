"""Kill anything at any instant: no job, no line, no device is lost, nothing runs twice, nothing is left.

Short by default; `make chaos SEED=1 FAULTS=300` is the long one.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.chaos import Client, Faults
from support.chaos_checks import Aftermath, last_words, quiet
from support.suite import Suite, fake_trainer
from support.waiting import eventually

# With this seed twelve faults kill every part, and freeze four of them, among jobs of every kind.
SEED = int(os.environ.get("CHAOS_SEED", "266"))
FAULTS = int(os.environ.get("CHAOS_FAULTS", "12"))
SLOTS = 3

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(120 + 20 * FAULTS)]


@pytest.fixture
def shaken(make_suite: Callable[..., Suite], tmp_path: Path) -> Suite:
    """A suite of its own with three devices, whose trainer is the double."""
    inventory = tmp_path / "inventory.json"
    machine = {"name": socket.gethostname(), "cpu_slots": SLOTS}
    inventory.write_text(json.dumps({"machines": [machine]}))
    python = fake_trainer(tmp_path / "trainer")
    return make_suite(TRAINER_PYTHON=str(python), PREFLIGHT="false", GPU_INVENTORY=str(inventory))


def test_nothing_is_lost_whatever_is_killed(shaken: Suite, tmp_path: Path) -> None:
    # Given clients that create and stop jobs, and repeat each call until it is answered
    client = Client(shaken, SEED, tmp_path, pause=1.2)
    faults = Faults(shaken, SEED)
    client.start()

    # When parts of the suite are killed and frozen
    try:
        faults.inject(FAULTS)
    finally:
        client.finish()
    eventually(
        lambda: quiet(shaken, client.accepted),
        "there is no quiet",
        lambda: _unquiet(shaken, client, tmp_path),
        90,
    )

    # Then every job is in the state that its process gave it, and nothing is left
    aftermath = Aftermath(shaken, client.accepted)
    print(_report(aftermath, client, faults))
    complaints = aftermath.complaints()
    assert not complaints, f"seed {SEED}; {last_words(shaken, tmp_path)}\n" + "\n".join(complaints)


def _unquiet(suite: Suite, client: Client, directory: Path) -> str:
    complaints = Aftermath(suite, client.accepted).complaints()
    return f"seed {SEED}; {last_words(suite, directory)}\n" + "\n".join(complaints)


def _report(aftermath: Aftermath, client: Client, faults: Faults) -> str:
    by_kind = ", ".join(f"{count} {name}" for name, count in sorted(faults.done.items()))
    slowest = ", ".join(
        f"{part} {max(seconds):.1f} s of {len(seconds)}"
        for part, seconds in sorted(faults.recoveries.items())
    )
    return "\n".join(
        (
            f"\nseed {SEED}: {aftermath.counts()}",
            f"{sum(faults.done.values())} faults: {by_kind}",
            f"longest from kill -9 to full function: {slowest}",
            f"answers to creates and stops: {dict(client.answers)}",
        )
    )
