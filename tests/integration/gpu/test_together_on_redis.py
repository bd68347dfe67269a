"""The machine of tests/unit/gpu_service/test_together.py, on the scripts that really run."""

from __future__ import annotations

import json
from types import SimpleNamespace

import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from contract.gpu.making import FakeClock
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.gpu.adapters import keys, records
from swiftletd.gpu.adapters.store import RedisStore
from swiftletd.gpu.wire.events import encode
from swiftletd.kernel.redis.client import connect
from unit.gpu_service.test_together import Together


class OpenStore(RedisStore):
    """The store, with a second client by which the test looks into it."""

    def __init__(self, url):
        super().__init__(connect(url), FakeClock(), encode)
        self.look = redis.Redis.from_url(url)
        self.look.flushall()

    @property
    def records(self):
        names = self.look.keys(keys.entry("*"))
        found = (records.read(self.look.hmget(name, records.FIELDS)) for name in names)
        return {record.id: record for record in found if record}

    @property
    def notices(self):
        events = [Event.FromString(fields[b"e"]) for _, fields in self.look.xrange(keys.EVENTS)]
        return [SimpleNamespace(type=e.type, subject=e.subject, version=e.version) for e in events]

    @property
    def held(self):
        return {device: json.loads(row) for device, row in self.look.hgetall(keys.HELD).items()}

    async def close(self):
        self.look.close()
        await self._redis.aclose(close_connection_pool=True)


class TogetherOnRedis(Together):
    url = ""

    def make_store(self):
        return OpenStore(self.url)

    def teardown(self):
        if hasattr(self, "store"):
            self.drain()
            self.do(self.store.close())
            self.loop.close()

    @invariant()
    def what_redis_counts_is_what_is_held(self):
        if not hasattr(self, "store"):
            return
        live = [record for record in self.store.records.values() if record.live]
        assert {name.decode() for name in self.store.look.smembers(keys.LIVE)} == {one.id for one in live}
        held = {(share.device, one.id) for one in live for share in one.lease.shares}
        assert held == {(device.decode(), id) for device, row in self.store.held.items() for id in row}
        gpus, jobs = (self.store.look.hget(keys.PROJECTS, f"{what}|") or 0 for what in ("gpus", "jobs"))
        assert (int(gpus), int(jobs)) == (len(held), len(live))


def test_two_schedulers_on_one_redis(redis_server):
    TogetherOnRedis.url = redis_server.url
    bounded = settings(
        max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(TogetherOnRedis, settings=bounded)
