"""One seed, one story: `python -m simulation.simulate 123` (from tests/) tells it."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import traceback
from dataclasses import dataclass
from unittest.mock import patch

import structlog

from simulation.invariants import Watch, check_end, unsettled
from simulation.loop import Stuck, VirtualLoop
from simulation.machine import gpus
from simulation.scenario import KINDS, BadLuck, Clients
from simulation.services import Cluster
from simulation.world import Faults, World
from swiftletd.gpu.usecases import oracle
from swiftletd.kernel.redis.client import UNREACHABLE

SETTLE_S, LOOK_S, MOST_STEPS = 900.0, 5.0, 400_000


@dataclass(frozen=True, slots=True)
class Story:
    """What happened with a seed. `violations` are what must never be; `digest` is the same in each replay."""

    seed: int
    violations: tuple[str, ...]
    lines: tuple[str, ...]
    counts: dict[str, int]
    steps: int
    seconds: float

    @property
    def digest(self):
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def tell(self):
        """The whole of it, to be read by a person."""
        told = "\n".join(self.lines)
        if not self.violations:
            return f"{told}\nSeed {self.seed} breaks no promise."
        found = "\n".join(f"  {text}" for text in self.violations)
        return (
            f"{told}\nSeed {self.seed} breaks a promise:\n{found}\nReplay: make simulation SEED={self.seed}"
        )


def simulate(seed, plant=lambda cluster: None):
    """Live through the story of a seed. `plant` may break something in the cluster first."""
    rng = random.Random(seed)
    before = random.getstate()
    random.seed(seed)  # the jitter of back-offs
    loop = VirtualLoop(rng.random)
    world = World(loop, rng, _faults(rng))
    logging = structlog.get_config()
    structlog.configure(processors=[_listener(world)], cache_logger_on_first_use=False)
    asyncio.set_event_loop(loop)
    try:
        with patch.object(oracle, "perf_counter", loop.time):
            _live(loop, world, plant)
        return _story(seed, world, loop)
    finally:
        structlog.configure(processors=[_ignore])
        world.dispose()
        asyncio.set_event_loop(None)
        loop.close()
        structlog.configure(**logging)
        random.setstate(before)


def _live(loop, world, plant):
    try:
        loop.run_until_complete(_world(world, plant))
    except Stuck:
        world.fail("nothing could go on")


def _faults(rng):
    """Some worlds are kind, some break at every second call."""
    harm = rng.choice((0.0, 1.0, 1.0, 4.0))
    return Faults(
        kill=harm * rng.choice((0.0, 0.0005, 0.003)),
        lost=harm * rng.choice((0.0, 0.001, 0.01)),
        slow=harm * rng.choice((0.0, 0.002, 0.02)),
        calm=rng.choice((30.0, 60.0, 100.0)),
    )


async def _world(world, plant):
    rng = world.rng
    cluster = Cluster(world, gpus(rng.randrange(1, 4)))
    clients, luck = Clients(cluster), BadLuck(cluster)
    two_schedulers = rng.random() < 0.4
    cluster.entries.lock_holds = rng.random() < 0.5  # it only saves work: two who lead must do no harm
    Watch(cluster, clients)
    plant(cluster)
    for name in list(KINDS)[: 3 + two_schedulers]:
        if name not in cluster.services:
            cluster.start(KINDS[name], name)
    world.spawn(luck.supervise())
    world.spawn(luck.strike(rng.choice((3.0, 8.0, 20.0, 1000.0))))
    works = [world.spawn(clients.job(number)) for number in range(rng.randrange(1, 6))]
    works += [world.spawn(clients.serving(number)) for number in range(rng.randrange(3))]
    await asyncio.sleep(world.faults.calm)
    world.note("calm")
    world.redis_back = 0.0
    await asyncio.wait(works)
    await clients.finish()
    await _settle(world, cluster, clients)


async def _settle(world, cluster, clients):
    until = world.loop.time() + SETTLE_S
    while left := unsettled(cluster, clients):
        await asyncio.sleep(LOOK_S)
        if world.violations or world.loop.steps > MOST_STEPS:
            break
        if world.loop.time() > until:
            break
    for text in left:
        world.fail(f"in the end {text}")
    check_end(cluster, clients)


def _listener(world):
    """What the services log is a part of the story. One with an exception but for a lost Redis is a bug."""

    def listen(logger, method, event):
        text = ", ".join(f"{name}={value}" for name, value in event.items() if name != "exc_info")
        world.note(f"log {method}: {text}")
        error = sys.exc_info()[1] if event.get("exc_info") else None
        if error is not None and not isinstance(error, UNREACHABLE):
            world.fail(f"{event.get('event')}: {error!r}", error)
        raise structlog.DropEvent

    return listen


def _ignore(logger, method, event):
    raise structlog.DropEvent


def _story(seed, world, loop):
    told = [f"{at:8.3f} {text}" for at, text in world.story]
    found = []
    for text, error in world.violations:
        more = "".join(traceback.format_exception(error)) if error else ""
        found.append(f"{text}\n{more}" if more else text)
    return Story(seed, tuple(found), tuple(told), world.counts, loop.steps, loop.time())


if __name__ == "__main__":
    told = simulate(int(sys.argv[1]))
    sys.stdout.write(told.tell() + "\n")
    sys.exit(bool(told.violations))
