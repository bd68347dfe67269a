"""What clients, operators and bad luck do to the cluster while it works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from simulation.services import DeployService, GpuService, TrainingService
from swiftletd.deploy.domain.deployment import Deployment
from swiftletd.deploy.domain.deployment import Resources as ServerResources
from swiftletd.gpu.domain.device import Health
from swiftletd.kernel.errors import AlreadyExists, NotFound, NotReady, ServiceError, Unavailable
from swiftletd.kernel.idempotency import Once, Repeated
from swiftletd.kernel.redis.client import UNREACHABLE
from swiftletd.training.domain.job import Job, Resources
from swiftletd.training.domain.param_fields import Method, TrainerType

KINDS = {"training": TrainingService, "deploy": DeployService, "gpu": GpuService, "gpu-2": GpuService}
AWAY = (NotReady, Unavailable, *UNREACHABLE)


@dataclass(slots=True, kw_only=True)
class Wish:
    """What a client asked for, and what it was told."""

    request_id: str
    id: str = ""
    started: bool = False  # it wants the job to run
    stop_asked: bool = False
    stopped: bool = False  # it was told that the job is stopped
    delete_asked: bool = False
    deleted: bool = False


class Clients:
    """`wishes` by job id, for the invariants."""

    def __init__(self, cluster):
        self._cluster, self._world = cluster, cluster.world
        self.wishes, self.servings = {}, {}
        self.calls = 0

    async def call(self, name, act, *, tries=40):
        """The answer, or the refusal; None if nobody answered for too long."""
        rng = self._world.rng
        for _ in range(tries):
            self.calls += 1
            try:
                service = self._cluster.service(name)
                return await service.process.answer(act(service))
            except FileNotFoundError as error:
                self._world.fail(f"a client was refused because of a file: {error!r}", error)
                return None
            except AWAY:
                await asyncio.sleep(rng.random() * 4.0)
            except ServiceError as error:
                return error
        return None

    def _once(self, key):
        """A call with an id of its own, which is repeated until it is answered. A real one has its answer in
        the mark; here that is the id of the job."""
        return Once(key, b"", lambda it: it.id.encode())

    # -------------------------------------------------------------------------------- jobs

    async def job(self, number):
        """A job from its creation to wherever its client wants it."""
        rng = self._world.rng
        await asyncio.sleep(rng.random() * self._world.faults.calm * 0.6)
        wish = await self._create(number)
        if wish is None:
            return
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(rng.random() ** 3 * 30)
            if self._world.calm:
                return
            act = rng.choice((self._start, self._start, self._stop, self._delete, self._export, self._queue))
            await act(wish)

    async def _create(self, number):
        rng, request = self._world.rng, f"create-{number}"
        auto, variants = rng.random() < 0.8, rng.randrange(1 << 30)
        wish = self.wishes[request] = Wish(request_id=request, started=auto)
        attempt = 0

        def create(service):
            nonlocal attempt
            attempt += 1
            job = self._a_job(f"j{number}x{attempt}", variants)
            return service.training.create(job, self._once(request), auto_start=auto)

        both = (self.call("training", create) for _ in range(1 + (rng.random() < 0.2)))
        answers = await asyncio.gather(*both)
        ids = {answer[0].id for answer in answers if isinstance(answer, tuple)}
        if any(isinstance(answer, Repeated) for answer in answers):
            ids.add((await self._cluster.jobs.marks.get(request)).decode())
        if len(ids) > 1:
            self._world.fail(f"one request made the jobs {sorted(ids)}")
        if not ids:
            return None
        wish.id = ids.pop()
        return wish

    @property
    def _has_two(self):
        return len(self._cluster.machine.devices) > 1

    def _a_job(self, id, variants):
        share = 30_000 if variants & 1 and variants & 2 else 0
        return Job(
            id=id,
            task_type="llm",
            trainer_type=TrainerType.LLM,
            method=Method.SFT,
            data_path="/d",
            model_path="/m",
            output_dir="/o",
            params={"export": bool(variants & 4)},
            created_at=self._world.now(),
            priority=variants >> 4 & 3,
            max_retries=variants >> 6 & 1,
            resources=Resources(
                gpus=1 + (variants & 24 == 24 and self._has_two and not share), memory_mib=share
            ),
            time_limit=15.0 if variants >> 8 & 7 == 0 else 0.0,
        )

    async def _start(self, wish):
        wish.started = True
        once = self._once(f"start-{self.calls}")
        await self.call("training", lambda s: s.training.start(wish.id, once))

    async def _stop(self, wish):
        wish.stop_asked = True
        once = self._once(f"stop-{self.calls}")
        answer = await self.call("training", lambda s: s.training.stop(wish.id, once))
        wish.stopped = wish.stopped or isinstance(answer, Job | Repeated)

    async def _delete(self, wish):
        wish.stop_asked = wish.delete_asked = True
        once = self._once(f"delete-{wish.id}")
        answer = await self.call("training", lambda s: self._deletion(s, wish, once))
        wish.deleted = wish.deleted or answer == "gone" or isinstance(answer, NotFound | Repeated)
        wish.stopped = wish.stopped or wish.deleted

    async def _deletion(self, service, wish, once):
        await service.training.delete(wish.id, once)
        return "gone"

    async def _export(self, wish):
        once = self._once(f"export-{self.calls}")
        await self.call("training", lambda s: s.training.export(wish.id, once))

    async def _queue(self, wish):
        chosen, priority = self._world.rng.randrange(4), self._world.rng.randrange(10)
        once = Once(f"queue-{self.calls}", b"", str.encode)

        def operate(service):
            match chosen:
                case 0:
                    return service.desk.hold(wish.id, once)
                case 1:
                    return service.desk.release(wish.id, once)
                case 2:
                    return service.desk.move(wish.id, priority, once)
                case _:
                    return service.desk.remove(wish.id, once)

        await self.call("gpu", operate)

    # -------------------------------------------------------------------------------- deployments

    async def serving(self, number):
        """A deployment that is started, used, stopped, started again, deleted, and made again with its id."""
        key = f"d{number}"
        await asyncio.sleep(self._world.rng.random() * self._world.faults.calm * 0.6)
        while not self._world.calm:
            await (self._use(key) if key in self.servings else self._serve(key))
            await asyncio.sleep(self._world.rng.random() * 25)

    async def _serve(self, key):
        fresh = Deployment(
            id=key,
            model_path="/m",
            served_path="",
            served_model_name=key,
            deploy_type="llm",
            created_at=self._world.now(),
            resources=ServerResources(gpu_memory_mib=20_000 * self._world.rng.randrange(2)),
        )
        once = self._once(f"serve-{key}-{self.calls}")
        made = await self.call("deploy", lambda s: s.deploying.create(fresh, once))
        if isinstance(made, tuple | Repeated | AlreadyExists):
            self.servings[key] = made

    async def _use(self, key):
        act = self._world.rng.choice(("start", "start", "stop", "take_out", "delete", "delete"))
        if act != "delete":
            answer = await self.call("deploy", lambda s: getattr(s.deploying, act)(key))
            if isinstance(answer, NotFound) and act != "take_out":
                del self.servings[key]
            return
        once = self._once(f"delete-{key}-{self.calls}")
        if await self.call("deploy", lambda s: self._gone(s, key, once)) is None:
            return  # nobody answered: it may be there, and may be deleted
        del self.servings[key]
        if isinstance(await self.call("deploy", lambda s: s.deploying.get(key)), Deployment):
            self._world.fail(f"{key} was deleted and is there")

    async def _gone(self, service, key, once):
        await service.deploying.delete(key, once)
        return "gone"

    # -------------------------------------------------------------------------------- in the end

    async def finish(self):
        """What lets everything come to its end: nothing is held, served, or forbidden."""
        await self._insist("gpu", lambda s: s.desk.process(True))
        for wish in [wish for wish in self.wishes.values() if wish.id]:
            await self._insist("gpu", lambda s, wish=wish: s.desk.release(wish.id))
        for key in self.servings:
            await self._insist("deploy", lambda s, key=key: s.deploying.stop(key))

    async def _insist(self, name, act):
        while await self.call(name, act) is None:
            pass


class BadLuck:
    """Kills, stops and breaks things until the world is calm."""

    def __init__(self, cluster):
        self._cluster, self._world = cluster, cluster.world

    async def strike(self, pause):
        """One stroke every `pause` seconds, on average."""
        world, rng = self._world, self._world.rng
        strokes = (
            self._kill,
            self._kill,
            self._stop,
            self._redis,
            self._runner,
            self._runner,
            self._child,
            self._device,
            self._processor,
            self._reboot,
        )
        while True:
            await asyncio.sleep(rng.random() * 2 * pause)
            if world.calm:
                return
            rng.choice(strokes)()

    async def supervise(self):
        """What the supervisor of the suite does: who died is started again."""
        cluster, rng = self._cluster, self._world.rng
        died = {}
        while True:
            await asyncio.sleep(0.5)
            for name, service in list(cluster.services.items()):
                if not service.process.alive:
                    pause = 0.5 if self._world.calm else rng.random() ** 3 * 100
                    if self._world.loop.time() >= died.setdefault(name, self._world.loop.time() + pause):
                        del died[name]
                        cluster.start(KINDS[name], name)

    def _some_service(self):
        return self._world.rng.choice(list(self._cluster.services.values())).process

    def _kill(self):
        self._world.counts["kill"] += 1
        self._some_service().kill()

    def _stop(self):
        self._world.counts["stop"] += 1
        self._some_service().stop(self._world.rng.random() * 20)

    def _redis(self):
        self._world.break_redis(self._world.rng.random() ** 2 * 30)

    def _runner(self):
        alive = [run for run in self._cluster.machine.ever if run.alive]
        if alive:
            keeper = self._world.rng.choice(alive).keeper
            if self._world.rng.random() < 0.3:
                keeper.stop(self._world.rng.random() * 60)
            else:
                self._world.counts["runner"] += 1
                keeper.kill()

    def _child(self):
        living = self._cluster.machine.living()
        if living:
            child = self._world.rng.choice(living)
            self._world.note(f"child {child.pid} of {child.run} is killed")
            child.end(-9)

    def _device(self):
        machine, rng = self._cluster.machine, self._world.rng
        chosen = rng.randrange(len(machine.devices))
        self._world.note(f"GPU-{chosen} falls off the bus")
        self._health(chosen, Health.LOST)
        self._world.later(rng.random() * 20, lambda: self._health(chosen, Health.HEALTHY))

    def _health(self, chosen, health):
        machine = self._cluster.machine
        machine.devices = tuple(
            replace(device, health=health) if device.index == chosen else device for device in machine.devices
        )

    def _processor(self):
        client = Clients(self._cluster)
        self._world.spawn(self._toggle(client))

    async def _toggle(self, client):
        await client.call("gpu", lambda s: s.desk.process(False), tries=3)
        await asyncio.sleep(self._world.rng.random() * 10)
        await client.call("gpu", lambda s: s.desk.process(True), tries=3)

    def _reboot(self):
        if self._world.rng.random() < 0.2:
            self._cluster.machine.reboot()
            for service in self._cluster.services.values():
                service.process.kill()
