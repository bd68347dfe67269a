"""The gpu service as a process of its own, on a real Redis; the test plays the other services."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from itertools import count

import grpc
from redis.asyncio import Redis

from swiftlet.event.v1.event_pb2 import Event
from swiftlet.gpu.v1 import gpu_service_pb2 as pb
from swiftlet.gpu.v1 import gpu_service_pb2_grpc as rpc
from swiftletd.gpu.adapters import keys
from swiftletd.kernel.redis.client import connect

COMMAND = [sys.executable, "-P", "-c", "from swiftletd.gpu.main import main; main()"]
TRAINING = "swiftlet:{training}:events"
PATIENCE = 30.0


class GpuService:
    """Start it with `await start()`; `stub` talks to it."""

    def __init__(self, home, redis_url, gpus, **settings):
        self.home, self._url, self._settings = home, redis_url, settings
        self.inventory = home / "inventory.json"
        self.set_gpus(gpus)
        self.redis: Redis = connect(redis_url)
        self.channel = grpc.aio.insecure_channel(f"unix:{home}/run/gpu.sock")
        self.stub = rpc.GpuServiceStub(self.channel)
        self._process = None
        self._versions = count(1)
        self._seen = "0-0"

    def set_gpus(self, gpus):
        """A list of GPUs of one machine, or a dict of such lists by machine."""
        machines = gpus if isinstance(gpus, dict) else {"node": gpus}
        rows = [{"name": name, "gpus": there} for name, there in machines.items()]
        new = self.inventory.with_suffix(".new")
        new.write_text(json.dumps({"machines": rows}))
        new.replace(self.inventory)

    async def start(self):
        environment = {
            **os.environ,
            "SWIFTLET_HOME": str(self.home),
            "REDIS_URL": self._url,
            "GPU_INVENTORY": str(self.inventory),
            **self._settings,
        }
        self._launch(environment)
        await self.stub.GetProcessorStatus(
            pb.GetProcessorStatusRequest(), wait_for_ready=True, timeout=PATIENCE
        )

    def _launch(self, environment):
        with (self.home / "gpu.log").open("ab") as log:
            self._process = subprocess.Popen(COMMAND, env=environment, cwd=self.home, stdout=log, stderr=log)

    def kill(self):
        self._end(signal.SIGKILL)

    def terminate(self):
        self._end(signal.SIGTERM)
        return self._process.returncode

    async def close(self):
        if self._process.poll() is None:
            self.kill()
        await self.channel.close()
        await self.redis.aclose(close_connection_pool=True)

    async def submit(self, *jobs, kind="training", priority=0, gpus=1, **request):
        pipe = self.redis.pipeline(transaction=False)
        for job in jobs:
            event = Event(type="training.job.queued", subject=job, version=next(self._versions))
            asked = event.work_submitted
            asked.entry, asked.kind, asked.owner, asked.attempt = f"{kind}-{job}-1", kind, job, 1
            asked.request.gpus, asked.request.priority = gpus, priority
            for name, value in request.items():
                setattr(asked.request, name, value)
            pipe.xadd(TRAINING, {"type": event.type, "e": event.SerializeToString()})
        await pipe.execute()

    async def beat(self, run, **progress):
        """The runner of a run says that it lives, and how far it is."""
        await self.redis.set(keys.alive(run), json.dumps({"token": 1, **progress}), ex=600)

    async def end(self, *jobs):
        """Their runners say that they have ended."""
        pipe = self.redis.pipeline(transaction=False)
        for job in jobs:
            run = f"training-{job}-1"
            said = {"type": "run_ended", "subject": run, "runEnded": {"run": run, "success": True}}
            pipe.xadd(keys.RUNS_EVENTS, {"type": "run_ended", "j": json.dumps(said)})
        await pipe.execute()

    async def events(self):
        """All events of the service so far."""
        return [Event.FromString(fields[b"e"]) for _, fields in await self.redis.xrange(keys.EVENTS)]

    async def until(self, done, complaint):
        """Waits for the events of the service until `done` is true of all of them; returns those."""
        async with asyncio.timeout(PATIENCE):
            while True:
                events = await self.events()
                if done(events):
                    return events
                await asyncio.sleep(0.01)
        raise AssertionError(complaint)

    def _end(self, number):
        self._process.send_signal(number)
        self._process.wait(PATIENCE)


def of(events, kind):
    """Jobs that something happened to."""
    return [event.subject.split("-")[1] for event in events if event.type == kind]


def granted_and_ended(events):
    """At any time, which job holds which device, replayed from the events; fails where two do."""
    held = {}
    for event in events:
        if event.HasField("lease_granted"):
            for device in event.lease_granted.devices:
                assert device not in held, f"{device} was given to {event.subject} and {held[device]}"
                held[device] = event.subject
        if event.HasField("lease_ended"):
            held = {device: entry for device, entry in held.items() if entry != event.lease_ended.entry}
    return held
