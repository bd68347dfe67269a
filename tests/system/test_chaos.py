"""Kill anything at any instant: no job, no line, no device is lost, nothing runs twice, nothing is left.

Short by default: each kind of fault once. `make chaos SEED=1 FAULTS=300` is the long one.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.chaos.aftermath import Aftermath, Quiet, last_words
from support.chaos.checks import complaints
from support.chaos.deployments import DeploymentClient
from support.chaos.faults import DECK, Faults
from support.chaos.kinds import Story
from support.chaos.report import report
from support.chaos.trainings import RealModel, TrainingClient
from support.chaos.watching import Watchers
from support.suite import Suite, fake_trainer
from support.waiting import eventually

SEED = int(os.environ.get("CHAOS_SEED", "1"))
FAULTS = int(os.environ.get("CHAOS_FAULTS", len(DECK)))
SLOTS = 6
QUIET_SECONDS = 120

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(300 + 20 * FAULTS)]


@pytest.fixture
def real_model(tiny: Path) -> RealModel:
    return RealModel(tiny / "tiny-qwen2", tiny / "train.jsonl")


@pytest.fixture
def shaken(make_suite: Callable[..., Suite], tmp_path: Path, real_model: RealModel) -> Suite:
    """A suite of its own with some devices, whose trainer is the double, except for the real model."""
    inventory = tmp_path / "inventory.json"
    machine = {"name": socket.gethostname(), "cpu_slots": SLOTS}
    inventory.write_text(json.dumps({"machines": [machine]}))
    python = fake_trainer(tmp_path / "trainer", real_model.model)
    return make_suite(
        TRAINER_PYTHON=str(python),
        PREFLIGHT="false",
        GPU_INVENTORY=str(inventory),
        RECOVER_SECONDS="2",  # how soon the end of a killed runner is noticed
    )


def test_nothing_is_lost_whatever_is_killed(shaken: Suite, real_model: RealModel, tmp_path: Path) -> None:
    # Given clients that repeat each call until it is answered, and subscribers that come back
    story, watchers, began = Story(), Watchers(shaken), time.monotonic()
    trainings = TrainingClient(shaken, story, SEED, watchers.watch)
    clients = (trainings, DeploymentClient(shaken, story, SEED))
    faults = Faults(shaken, story, SEED)
    trainings.create_real(real_model)
    faults.victims.spared.update(story.trainings)
    for client in clients:
        client.start()

    # When parts of the suite, runners and their processes are killed and frozen
    try:
        faults.inject(FAULTS)
    finally:
        last_words(shaken, tmp_path)
        for client in clients:
            client.finish()
    quiet = Quiet(shaken, story)
    eventually(
        lambda: quiet() and not watchers.busy,
        "there is no quiet",
        lambda: _complaints(Aftermath(shaken, story, watchers), faults, tmp_path),
        QUIET_SECONDS,
    )
    last_words(shaken, tmp_path)
    watchers.finish()

    # Then every job is in the state that its process gave it, and nothing is left
    after = Aftermath(shaken, story, watchers)
    answers = sum((client.calls.answers for client in clients), start=type(trainings.calls.answers)())
    print(report(after, faults, answers, time.monotonic() - began))
    assert not complaints(after), _complaints(after, faults, tmp_path)
    assert not (faults.missed and len(DECK) == FAULTS)


def _complaints(after: Aftermath, faults: Faults, directory: Path) -> str:
    begin = f"seed {SEED}; {last_words(after.suite, directory)}"
    return "\n".join((begin, *complaints(after), *faults.history))
