"""A machine with GPUs: run directories, runners, their child processes. Doubles for what is real elsewhere.

The directories outlive everything. A runner is a process of the world; what it starts outlives it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from itertools import count

from simulation.loop import PROCESS
from simulation.world import Port
from simulation.world import Process as WorldProcess
from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.ports import Process, Reading, Telemetry
from swiftletd.kernel.ids import rfc3339
from swiftletd.kernel.redis.client import UNREACHABLE
from swiftletd.kernel.redis.keys import RUN_EVENTS
from swiftletd.runner.events import events_of

MIB = 80_000
BEAT_S, ALIVE_S, LOOK_S, FIRST_WORD_S = 5.0, 30.0, 1.0, 1.0


@dataclass(eq=False)
class Child:
    """A process of a step. `exit_code` is None while it lives; a model server answers once it is `ready`."""

    pid: int
    run: str
    step: str
    started: float
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    exit_code: int | None = None
    ready: bool = False

    def end(self, exit_code):
        if self.exit_code is None:
            self.exit_code = exit_code
            self.ended.set()


@dataclass(eq=False)
class Run:
    """A run directory. `children` are all that were ever started in it."""

    entry: str
    owner: str
    steps_wanted: tuple[str, ...]
    devices: tuple[str, ...]
    share: int
    token: int
    port: int = 0
    time_limit: float = 0.0
    runner: dict | None = None
    keeper: WorldProcess | None = None  # who has the lock
    child: dict | None = None
    steps: list[dict] = field(default_factory=list)
    exit: dict | None = None
    stop: str | None = None
    published: int = 0
    removed: bool = False
    spec: bool = True
    children: list[Child] = field(default_factory=list)

    @property
    def alive(self):
        return self.keeper is not None and self.keeper.alive

    @property
    def living(self):
        return [child for child in self.children if child.exit_code is None]

    def events(self):
        return events_of(self.entry, runner=self.runner, child=self.child, steps=self.steps, end=self.exit)


class Machine:
    """`keys` are the heartbeats and stop marks in Redis."""

    def __init__(self, world, streams, devices):
        self.world, self.streams, self.keys = world, streams, Keys(world)
        self.devices = tuple(devices)
        self.runs, self.ever = {}, []
        self._pids = count(100)

    # ------------------------------------------------------------------------------- directories

    def ask_to_stop(self, owner, entry, word):
        """As RunDir.request_stop: it makes the directory where there is none yet."""
        run = self.runs.setdefault(entry, Run(entry, owner, (), (), 0, 0, spec=False))
        run.stop = run.stop or word

    def write_spec(self, run):
        """The directory of this run: as it is if it has a spec, else made from this one."""
        known = self.runs.get(run.entry)
        if known and known.spec:
            return known
        run.stop = known.stop if known else None
        self.runs[run.entry] = run
        self.ever.append(run)
        return run

    def remove(self, entry):
        run = self.runs.pop(entry, None)
        if run:
            run.removed = True

    def launch(self, run):
        """Start a runner, if none works there."""
        if run.alive:
            return
        keeper = run.keeper = WorldProcess(self.world, f"runner of {run.entry}")
        runner = Runner(self, run, keeper)
        keeper.spawn(runner.work())

    # ----------------------------------------------------------------------------------- processes

    def start_child(self, run, step):
        child = Child(next(self._pids), run.entry, step, self.world.now())
        run.children.append(child)
        self.world.note(f"child {child.pid} of {run.entry} starts {step} on {','.join(run.devices)}")
        self._watch(run)
        self._plan(child)
        return child

    def _plan(self, child):
        """What it will do, if nobody stops it."""
        rng, later = self.world.rng, self.world.later
        if child.step == "serve":
            if rng.random() < 0.9:
                later(rng.random() * 10, lambda: setattr(child, "ready", True))
            if rng.random() < 0.3:
                later(rng.random() * 60, lambda: child.end(rng.choice((0, 1))))
            later(300.0, lambda: child.end(0))
        else:
            code = 0 if rng.random() < 0.8 else 1
            later(rng.random() ** 2 * 25, lambda: child.end(code))

    def _watch(self, run):
        """No device is used by two runs at once, but for shares that fit."""
        for device in run.devices:
            users = [other for other in self.ever if other.living and device in other.devices]
            whole = [other for other in users if not other.share]
            if len(users) > 1 and (whole or sum(other.share for other in users) > MIB):
                names = ", ".join(other.entry for other in users)
                self.world.fail(f"{device} is used by {names} at the same time")
        if run.port and (
            others := [r for r in self.ever if r.living and r.port == run.port and r is not run]
        ):
            self.world.fail(f"port {run.port} is used by {others[0].entry} and {run.entry} at the same time")

    def living(self):
        return [child for run in self.ever for child in run.living]

    def end_all(self, entry, since=0.0, until=float("inf")):
        """SIGKILL for what carries the mark of a run."""
        found = [c for c in self.living() if c.run == entry and since <= c.started <= until]
        for child in found:
            child.end(-9)
        return len(found)

    def reboot(self):
        """Everything on it dies; disks and Redis stay."""
        self.world.note("the machine reboots")
        for run in self.ever:
            if run.alive:
                run.keeper.kill()
            self.end_all(run.entry)

    def reading(self):
        seen = {device.uuid: [] for device in self.devices}
        for run in self.ever:
            for child in run.living:
                process = Process(
                    pid=child.pid,
                    name="python",
                    user="me",
                    memory_mib=run.share or MIB // 2,
                    run=run.entry,
                    started=child.started,
                )
                for device in run.devices:
                    seen[device].append(process)
        telemetry = {
            uuid: Telemetry(memory_used_mib=sum(p.memory_mib for p in found), processes=tuple(found))
            for uuid, found in seen.items()
        }
        return Reading(devices=self.devices, telemetry=telemetry)


class Keys:
    """Heartbeats, which run out, and stop marks, which stay."""

    def __init__(self, world):
        self._world, self.alive, self.stops = world, {}, {}

    async def beat(self, run):
        """GET stop and SET alive, in one go."""
        self.alive[run] = self._world.loop.time() + ALIVE_S
        return self.stops.get(run)

    async def leave(self, run):
        self.alive.pop(run, None)

    def lives(self, run):
        return self.alive.get(run, -1.0) > self._world.loop.time()


class Runner:
    """What swiftletd.runner does, in its order: see runner.py and publisher.py there."""

    def __init__(self, machine, run, process):
        self._machine, self._run, self._process, self._world = machine, run, process, machine.world
        self._keys, self._streams = Port(process, machine.keys), Port(process, machine.streams)
        self._done, self._told = asyncio.Event(), asyncio.Event()
        self._wake, self._asked = asyncio.Event(), asyncio.Event()

    async def work(self):
        run, world = self._run, self._world
        await asyncio.sleep(world.rng.random() * 0.1)
        if run.exit is None:
            buries = run.runner is not None
            if not buries:
                run.runner = {"pid": 1, "start_time": 1, "started_at": rfc3339(world.now())}
            self._process.spawn(self._publish())
            await (self._bury() if buries else self._live())
        else:
            self._process.spawn(self._publish())
        self._done.set()
        self._wake.set()
        await self._told.wait()
        run.keeper = None

    async def _live(self):
        run, success = self._run, True
        try:
            async with asyncio.timeout(FIRST_WORD_S):
                await self._asked.wait()
        except TimeoutError:
            pass
        started = self._world.loop.time()
        for step in run.steps_wanted:
            if run.stop or not await self._step(step, started):
                success = False
                break
        self._finish(success=success, stopped="" if success else run.stop or "")

    async def _step(self, step, started):
        run, world = self._run, self._world
        await asyncio.sleep(world.rng.random() * 0.2)
        if run.stop:
            return False
        child = self._machine.start_child(run, step)
        world.counts["child"] += 1
        run.child = {"pid": child.pid, "started_at": rfc3339(world.now())}
        self._wake.set()
        stopped = await self._until_it_ends(child, started)
        await asyncio.sleep(world.rng.random() * 0.2)
        success = child.exit_code == 0 and not stopped
        run.steps.append(
            {
                "step": step,
                "exit_code": child.exit_code,
                "success": success,
                "pid": child.pid,
                "result_path": f"/{run.entry}/{step}",
                "final_loss": 1.0,
                "stopped": stopped,
                "seconds": world.now() - child.started,
                "started_at": rfc3339(child.started),
                "ended_at": rfc3339(world.now()),
            }
        )
        self._wake.set()
        return success

    async def _until_it_ends(self, child, started):
        """Why it was stopped, if it was."""
        run, limit = self._run, self._run.time_limit
        while child.exit_code is None:
            if limit and self._world.loop.time() - started > limit:
                run.stop = run.stop or "time_limit"
            if run.stop:
                await asyncio.sleep(self._world.rng.random() * 2.0)  # it takes its time to leave
                child.end(0 if self._world.rng.random() < 0.5 else -15)
                return run.stop
            try:
                async with asyncio.timeout(LOOK_S):
                    await child.ended.wait()
            except TimeoutError:
                pass
        return ""

    async def _bury(self):
        self._machine.end_all(self._run.entry)
        await asyncio.sleep(self._world.rng.random())
        self._finish(success=False, stopped=self._run.stop or "", lost=True)

    def _finish(self, *, success, stopped, lost=False):
        self._machine.end_all(self._run.entry)
        now = rfc3339(self._world.now())
        self._run.exit = {"success": success, "stopped": stopped, "ended_at": now, "lost": lost}

    async def _publish(self):
        run, done = self._run, False
        told, backoff = run.published, 0.1
        while not done:
            ending = self._done.is_set()
            try:
                if not ending and (word := await self._keys.beat(run.entry)):
                    run.stop = run.stop or word
                self._asked.set()
                events = run.events()
                for event in events[told:]:
                    await self._streams.xadd(RUN_EVENTS, {"j": json.dumps(event), "type": event["type"]})
                told = run.published = max(told, len(events))
            except UNREACHABLE:
                told, backoff = 0, min(5.0, backoff * 2)  # all again
                await asyncio.sleep(backoff)
                continue
            done = ending
            await self._pause(done)
        await self._leave()

    async def _pause(self, done):
        if not done and not self._done.is_set():
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def _leave(self):
        try:
            await self._keys.leave(self._run.entry)
        except UNREACHABLE:
            pass
        self._told.set()


def gpus(number):
    return [
        Device(uuid=f"GPU-{n}", index=n, machine="node", name="NVIDIA H100", memory_mib=MIB)
        for n in range(number)
    ]


def current():
    """The process in which this runs."""
    return PROCESS.get()
