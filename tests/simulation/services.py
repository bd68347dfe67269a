"""The three services as processes of the world: real use cases, consumers and followers, ports in memory.

Each is put together and started in the order of its own main.py.
"""

from __future__ import annotations

from contract.deploy.memory import MemoryDeploymentStore
from contract.gpu.memory import MemoryStore
from contract.kernel.memory import MemoryStreams
from contract.training.memory import MemoryJobStore
from simulation.adapters import Heartbeats, Inventory, Processes, Runs, Servers
from simulation.machine import Machine
from simulation.world import Port, Process
from swiftletd.deploy.adapters.answers import EventAnswers as DeployAnswers
from swiftletd.deploy.usecases import Deploying
from swiftletd.deploy.wire.consumer import Ears as DeployEars
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.predict import Effort
from swiftletd.gpu.usecases.board import Board
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.desk import Desk
from swiftletd.gpu.usecases.grants import Grants
from swiftletd.gpu.usecases.hearsay import Hearsay, Rumour
from swiftletd.gpu.usecases.herald import Herald
from swiftletd.gpu.usecases.intake import Intake
from swiftletd.gpu.usecases.leases import Leases
from swiftletd.gpu.usecases.oracle import Oracle
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.usecases.survey import Survey
from swiftletd.gpu.usecases.sweep import Sweep
from swiftletd.gpu.wire.consumer import Inbox
from swiftletd.gpu.wire.events import encode as encode_notice
from swiftletd.kernel import lifecycle
from swiftletd.kernel.bus import envelope
from swiftletd.kernel.bus.consumer import Consumer
from swiftletd.kernel.bus.follower import Follower
from swiftletd.kernel.errors import NotReady
from swiftletd.kernel.idempotency import UNKEYED
from swiftletd.kernel.redis.keys import DEPLOY_EVENTS, GPU_EVENTS, RUN_EVENTS, TRAINING_EVENTS
from swiftletd.training.adapters.answers import EventAnswers as TrainingAnswers
from swiftletd.training.adapters.answers import by_entry
from swiftletd.training.main import _job_of
from swiftletd.training.usecases import Training
from swiftletd.training.wire.consumer import Ears as TrainingEars

PORTS = range(8001, 8004)
PATIENCE_S, RECOVER_S, PROBE_S, START_TIMEOUT_S, PASS_S = 2.0, 60.0, 2.0, 40.0, 30.0
RETRY_DELAY_S = 5.0


class Cluster:
    """What all processes share: the state in Redis and the machine."""

    def __init__(self, world, devices):
        self.world, self.streams = world, MemoryStreams()
        self.machine = Machine(world, self.streams, devices)
        self.jobs = MemoryJobStore(world, self._teller(TRAINING_EVENTS))
        self.deployments = MemoryDeploymentStore(world, self._teller(DEPLOY_EVENTS))
        self.entries = GpuStore(self.streams, world)
        self.routes = {}
        self.services = {}

    def _teller(self, stream):
        return lambda event: self.streams.add(stream, envelope.encode(event))

    def start(self, kind, name):
        """Start a service, or start it again."""
        self.services[name] = kind(self, name)

    def service(self, name):
        """The service, if it answers calls. Raises NotReady."""
        found = self.services[name]
        if not (found.process.alive and found.ready):
            raise NotReady(name, "It starts.")
        return found


class GpuStore(MemoryStore):
    """Its outbox is a stream, and its lock runs out."""

    def __init__(self, streams, clock):
        super().__init__()
        self._streams, self._clock, self._told, self._lead_ends = streams, clock, 0, 0.0
        self.lock_holds = True

    async def lead(self, owner, ttl):
        if self._clock.now() >= self._lead_ends or not self.lock_holds:
            self.leader = None
        leads = await super().lead(owner, ttl)
        self._lead_ends = self._clock.now() + ttl if leads else self._lead_ends
        return leads

    def tell(self):
        """To be called in the moment of a change."""
        for notice in self.notices[self._told :]:
            self._streams.add(GPU_EVENTS, {"type": notice.type, "e": encode_notice(notice)})
        self._told = len(self.notices)

    def _write(self, record, notice):
        outcome = super()._write(record, notice)
        self.tell()
        return outcome

    async def set_processing(self, running, notice, again, once=UNKEYED):
        changed = await super().set_processing(running, notice, again, once)
        self.tell()
        return changed

    async def device_changed(self, uuid, health, notice):
        changed = await super().device_changed(uuid, health, notice)
        self.tell()
        return changed


class Service:
    """A process with consumers and a follower."""

    def __init__(self, cluster, name):
        self.cluster, self.world, self.name = cluster, cluster.world, name
        self.process, self.ready = Process(cluster.world, name), False
        self.world.note(f"{name} starts")
        self.streams = self.port(cluster.streams)
        self.process.spawn(self.serve())

    def port(self, target, *, redis=True):
        return Port(self.process, target, redis=redis)

    def consumer(self, stream, handle, **more):
        group = self.name.partition("-")[0]
        return Consumer(
            self.streams, self.streams, stream=stream, group=group, name=self.name, handle=handle, **more
        ).run()

    def follower(self, parse):
        return Follower(self.streams, self.streams, parse)


class TrainingService(Service):
    """See swiftletd/training/main.py."""

    async def serve(self):
        follower = self.follower({GPU_EVENTS: by_entry})
        self.training = Training(
            self.port(self.cluster.jobs),
            self.port(Runs(self.cluster), redis=False),
            TrainingAnswers(follower),
            self.world,
            patience=PATIENCE_S,
            retry_delay=RETRY_DELAY_S,
        )
        ears = TrainingEars(self.training)
        self.process.spawn(follower.run())
        await lifecycle.persist(self.training.recover)
        self.process.spawn(self.consumer(GPU_EVENTS, ears.from_gpu, lane=_job_of))
        self.process.spawn(self.consumer(RUN_EVENTS, ears.from_runs, lane=_job_of))
        self.process.spawn(lifecycle.every(RECOVER_S, self.training.recover))
        await follower.ready()
        self.ready = True


class DeployService(Service):
    """See swiftletd/deploy/main.py."""

    async def serve(self):
        follower = self.follower({GPU_EVENTS: by_entry})
        servers = Servers(self.cluster)
        self.deploying = Deploying(
            self.port(self.cluster.deployments),
            self.port(servers, redis=False),
            self.port(servers, redis=False),
            servers,
            self.port(servers, redis=False),
            DeployAnswers(follower),
            self.world,
            ports=PORTS,
            patience=PATIENCE_S,
            start_timeout=START_TIMEOUT_S,
        )
        ears = DeployEars(self.deploying)
        self.process.spawn(follower.run())
        await lifecycle.persist(self.deploying.recover)
        self.process.spawn(self.consumer(GPU_EVENTS, ears.from_gpu))
        self.process.spawn(self.consumer(RUN_EVENTS, ears.from_runs))
        self.process.spawn(lifecycle.every(PROBE_S, self.deploying.probe))
        self.process.spawn(lifecycle.every(RECOVER_S, self.deploying.recover))
        await follower.ready()
        self.ready = True


class GpuService(Service):
    """See swiftletd/gpu/main.py."""

    async def serve(self):
        cluster, clock = self.cluster, self.world
        heartbeats = self.port(Heartbeats(cluster))
        processes = self.port(Processes(cluster), redis=False)
        self.books = books = Books(self.port(cluster.entries), Board(Policy(spread=False)), clock)
        leases = Leases(books, heartbeats)
        survey = Survey(books, leases, self.port(Inventory(cluster), redis=False), processes)
        oracle = Oracle(books.board, clock, Effort(entries=3, futures=1))
        herald = Herald(books, oracle)
        scheduler = Scheduler(books, Grants(books), survey, herald, oracle, owner=self.name)
        sweep = Sweep(books, leases, survey, scheduler, heartbeats, processes, interval=PASS_S)
        inbox = Inbox(Intake(books, leases), leases, scheduler, clock)
        self.desk = Desk(books, scheduler.wake)
        hearsay, follower = Hearsay(books, scheduler.wake), self.follower({GPU_EVENTS: _rumour})
        self.process.spawn(follower.run())
        self.process.spawn(_listen(follower, hearsay))
        await follower.ready()
        await lifecycle.persist(books.open)
        await lifecycle.persist(survey.begin)
        work = [hearsay.run(), herald.run(), sweep.run(), scheduler.run(), scheduler.lead()]
        work += [
            self.consumer(stream, inbox.handle, handle_batch=inbox.handle_batch)
            for stream in (TRAINING_EVENTS, DEPLOY_EVENTS, RUN_EVENTS)
        ]
        for each in work:
            self.process.spawn(each)
        self.ready = True


def _rumour(fields):
    event = envelope.decode(fields)
    return "", Rumour(event.type, event.subject, event.version)


async def _listen(follower, hearsay):
    with follower.subscribe(GPU_EVENTS, limit=100_000) as subscription:
        async for item in subscription:
            hearsay.hear(item.value)
