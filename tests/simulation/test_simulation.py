"""Thousands of stories of a cluster in trouble, each told by a seed: no promise is broken in any of them.

SEEDS is how many are lived through. What a seed does is told by `make simulation SEED=...`.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.loop import VirtualLoop
from simulation.scenario import KINDS
from simulation.simulate import simulate
from simulation.world import Faults, Process, World

SEEDS = int(os.environ.get("SEEDS") or 1000)
AT_ONCE = 50
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_no_promise_is_broken_whatever_happens(first):
    for seed in range(first, min(first + AT_ONCE, SEEDS)):
        story = simulate(seed)
        assert not story.violations, story.tell()


def test_a_seed_tells_the_same_story_each_time():
    stories = [simulate(seed) for seed in (3, 4, 3)]
    assert stories[0].digest == stories[2].digest != stories[1].digest


def test_a_seed_tells_the_same_story_in_another_process():
    code = "from simulation.simulate import simulate; print(simulate(5).digest)"
    for hashes in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hashes}
        told = subprocess.run(
            [sys.executable, "-c", code], cwd=TESTS, env=env, capture_output=True, check=True
        )
        assert told.stdout.decode().strip() == simulate(5).digest


# --------------------------------------------------------------------------------- it can fail


def no_version_check(cluster):
    """A store of jobs that lets the last one win."""
    cluster.jobs._expect = lambda job_id, version: None


def no_grant_check(cluster):
    """A grant that believes its scheduler, of which there are two: it looks at neither devices nor tokens."""
    cluster.start(KINDS["gpu-2"], "gpu-2")
    cluster.entries.lock_holds, grant = False, cluster.entries._grant

    def believing(change):
        cluster.entries.fence = 0
        return grant(change)

    cluster.entries._grant, cluster.entries._has_room = believing, lambda claim: True


def no_lock(cluster):
    """A runner that starts in a directory where one works already, and asks nobody."""
    launch = cluster.machine.launch

    def careless(run):
        run.keeper, run.runner = None, None
        launch(run)

    cluster.machine.launch = careless


def early_acknowledgement(cluster):
    """A stream that forgets an event when it is read, and not when it had its effect."""
    read = cluster.streams.xreadgroup

    async def forgetful(group, consumer, streams, count, block):
        got = await read(group, consumer, streams, count, block)
        for stream in streams:
            cluster.streams.groups[stream, group].pending.clear()
        return got

    cluster.streams.xreadgroup = forgetful


def no_marks(cluster):
    """Repeated calls have their effect again."""
    cluster.jobs.marks.check = lambda once: None


@pytest.mark.parametrize(
    "plant",
    [no_version_check, no_grant_check, no_lock, early_acknowledgement, no_marks],
    ids=lambda f: f.__name__,
)
def test_a_planted_bug_is_found(plant):
    assert any(simulate(seed, plant).violations for seed in range(200))


# ------------------------------------------------------------------------------ what it stands on


def test_a_killed_process_vanishes_at_an_await_and_others_go_on():
    rng = random.Random(1)
    loop = VirtualLoop(rng.random)
    world, seen = World(loop, rng, Faults()), []
    victim, witness = Process(world, "victim"), Process(world, "witness")

    async def work(name):
        try:
            for _ in range(3):
                await asyncio.sleep(1.0)
                seen.append((name, loop.time()))
        finally:
            seen.append((name, "finally"))

    victim.spawn(work("victim"))
    witness.spawn(work("witness"))
    world.later(1.5, victim.kill)
    loop.run_until_complete(asyncio.sleep(10.0))
    assert sorted(seen, key=str) == [
        ("victim", 1.0),
        ("witness", "finally"),
        ("witness", 1.0),
        ("witness", 2.0),
        ("witness", 3.0),
    ]
    world.dispose()
    loop.close()


def test_a_stopped_process_goes_on_later():
    rng = random.Random(1)
    loop = VirtualLoop(rng.random)
    world, seen = World(loop, rng, Faults()), []
    process = Process(world, "sleeper")

    async def work():
        await asyncio.sleep(1.0)
        seen.append(loop.time())

    process.spawn(work())
    process.stop(5.0)
    loop.run_until_complete(asyncio.sleep(10.0))
    assert seen == [6.0]
    loop.close()
