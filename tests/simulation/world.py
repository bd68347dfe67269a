"""The world of a simulation: its time, its chances, its processes, and everything that goes wrong in it."""

from __future__ import annotations

import asyncio
import random
from contextvars import copy_context
from dataclasses import dataclass

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from simulation.loop import PROCESS
from swiftletd.kernel.errors import Unavailable

EPOCH = 1_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often things go wrong, as chances per call of a port; until `calm`, in seconds."""

    kill: float = 0.0
    lost: float = 0.0  # a call that fails, before or after it took effect
    slow: float = 0.0  # a call that takes seconds
    calm: float = 60.0


class Violation(AssertionError):
    """Something that must never be."""


class Process:
    """A process: its tasks vanish together, at any await, and none of them ever hears of it."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.alive, self.stopped = True, False
        self._context = copy_context()
        self._context.run(PROCESS.set, self)
        self._aside, self._tasks, self._calls = [], [], {}

    def may_run(self, handle):
        """Whether a piece of its work may run now."""
        if self.stopped and self.alive:
            self._aside.append(handle)
        return self.alive and not self.stopped

    def spawn(self, work):
        """Do this as a part of the process. Its failure is nobody's but ours."""
        task = self.world.loop.create_task(work, context=self._context.copy())
        task.add_done_callback(self._ended, context=self.world.context)
        self._tasks.append(task)
        return task

    def _ended(self, task):
        self._tasks.remove(task)
        if self.alive and not task.cancelled() and (error := task.exception()):
            self.world.fail(f"a task of {self.name} ended with {error!r}", error)

    async def answer(self, request):
        """What a client gets for a call. Raises Unavailable if the process dies first."""
        reply = self.world.loop.create_future()
        self._calls[reply] = None
        task = self.world.loop.create_task(request, context=self._context.copy())
        self._tasks.append(task)
        task.add_done_callback(lambda task: self._reply(task, reply), context=self.world.context)
        return await reply

    def _reply(self, task, reply):
        self._tasks.remove(task)
        self._calls.pop(reply, None)
        error = task.exception()
        if reply.done():
            return
        if error:
            reply.set_exception(error)
        else:
            reply.set_result(task.result())

    def kill(self):
        """SIGKILL."""
        if not self.alive:
            return
        self.world.note(f"kill {self.name}")
        self.alive = False
        self.world.bury(self._tasks)
        for reply in self._calls:
            if not reply.done():
                reply.set_exception(Unavailable(self.name))
        self._calls = {}

    def stop(self, seconds):
        """SIGSTOP, and SIGCONT after so long."""
        if self.alive and not self.stopped:
            self.world.note(f"stop {self.name} for {seconds:.1f} s")
            self.stopped = True
            self.world.later(seconds, self._go_on)

    def _go_on(self):
        self.stopped = False
        aside, self._aside = self._aside, []
        self.world.loop.requeue(aside)


class World:
    """Owns all chances, so that a seed tells the whole story."""

    def __init__(self, loop, rng, faults):
        self.loop, self.rng, self.faults = loop, rng, faults
        self.context = copy_context()
        self.story, self.violations = [], []
        self.redis_back = 0.0
        self.buried = []
        self.counts = {"kill": 0, "lost": 0, "redis": 0, "stop": 0, "runner": 0, "child": 0}

    def now(self):
        """Unix seconds: the world is a Clock."""
        return EPOCH + self.loop.time()

    async def sleep(self, seconds):
        await asyncio.sleep(seconds)

    def chance(self, probability):
        return probability > 0.0 and self.rng.random() < probability

    @property
    def calm(self):
        return self.loop.time() >= self.faults.calm

    def later(self, seconds, act):
        """Do this in so many seconds, whoever is dead by then."""
        self.loop.call_later(seconds, act, context=self.context)

    def spawn(self, work):
        """A task that no fault touches."""
        task = self.loop.create_task(work, context=self.context.copy())
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task):
        if not task.cancelled() and (error := task.exception()):
            self.fail(f"the simulation itself failed: {error!r}", error)

    def note(self, text):
        """A line of the story, for the one who has to understand a failure."""
        self.story.append((self.loop.time(), text))

    def fail(self, text, error=None):
        """Something happened that must never be."""
        self.note(f"VIOLATION {text}")
        self.violations.append((text, error))

    def bury(self, tasks):
        """Tasks of a dead process are kept: their `finally` must not run while the world goes on."""
        for task in tasks:
            task._log_destroy_pending = False
            self.buried.append(task)

    def break_redis(self, seconds):
        """No call reaches Redis for so long."""
        self.note(f"Redis is away for {seconds:.1f} s")
        self.counts["redis"] += 1
        self.redis_back = self.loop.time() + seconds

    def dispose(self):
        """Close what the dead and the living left behind; nothing counts any more."""
        left = [*self.buried, *(task for task in asyncio.all_tasks(self.loop) if not task.done())]
        for task in left:
            task._log_destroy_pending = False
            try:
                task.get_coro().close()
            except RuntimeError:
                pass


class Port:
    """Something beyond the border of a process: each call takes time, and the process can die at it.

    With `redis` a call can also fail, before or after it took effect; the caller can't tell.
    """

    def __init__(self, process, target, *, redis=True):
        self._process, self._target, self._redis = process, target, redis

    def __getattr__(self, name):
        method = getattr(self._target, name)
        if not asyncio.iscoroutinefunction(method):
            return method
        process, redis = self._process, self._redis

        async def call(*args, **options):
            await border(process, name, redis=redis)
            result = await method(*args, **options)
            await border(process, name, redis=redis)
            return result

        setattr(self, name, call)
        return call


async def border(process, name, *, redis):
    """One way over it."""
    world = process.world
    rng, faults = world.rng.random, world.faults
    luck = rng()
    if world.calm:
        await asyncio.sleep(0)
        return
    if luck < faults.kill:
        world.counts["kill"] += 1
        world.note(f"{process.name} dies at {name}")
        process.kill()
    if redis and world.redis_back > world.loop.time():
        await asyncio.sleep(luck * 0.01)
        raise RedisConnectionError("away")
    if redis and rng() < faults.lost:
        world.counts["lost"] += 1
        world.note(f"{process.name} hears nothing of {name}")
        await asyncio.sleep(rng() * 5.0)
        raise RedisTimeoutError("no reply")
    slow = rng() < faults.slow
    await asyncio.sleep(rng() * 3.0 if slow else max(0.0, luck - 0.5) ** 2 * 0.08)


def rng_of(seed):
    """The source of all chances of a world."""
    return random.Random(seed)
