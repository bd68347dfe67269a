"""A busy cluster as a team has it: 17 GPUs, jobs that run, and one job for each reason to wait."""

from __future__ import annotations

import asyncio
import time

from integration.gpu.process import GpuService, of
from swiftlet.gpu.v1 import gpu_service_pb2 as pb
from swiftletd.gpu.adapters import keys

H100 = {"name": "NVIDIA H100 80GB HBM3", "memory_mib": 81559, "island": "nvlink"}
L4 = {"name": "NVIDIA L4", "memory_mib": 23034}
STRANGER = {"pid": 4711, "name": "python", "user": "x", "memory_mib": 20582}
MACHINES = {
    "node-1": [{**H100, "count": 8}],
    "node-2": [{**H100, "count": 8}],
    "node-3": [{**L4, "processes": [STRANGER]}],
}
QUOTAS = '{"nlp": {"max_gpus": 4}}'
HOUR = 3600.0
DAY = 24 * HOUR
REPORTING = {"llama-70b", "draft"}
PATIENCE = 30.0


def cluster(home, redis_url) -> GpuService:
    """The service that is to be staged; not started yet."""
    return GpuService(home, redis_url, MACHINES, GPU_QUOTAS=QUOTAS)


async def stage(service) -> None:
    """Puts all jobs where they shall be; returns when the service knows it all."""
    await service.redis.lpush(keys.lasted("sft:qwen"), 5000.0, 5400.0, 6000.0)
    await _run(service)
    await _progress_is_known(service)
    await _wait(service)
    await service.until(lambda events: len(of(events, "gpu.entry.waiting")) == 9, "nine jobs wait")


async def _run(service) -> None:
    """In the order in which the machines fill up. Each waits for the one before: all is repeatable."""
    submit = service.submit
    await _started(service, "pretrain", submit("pretrain", gpus=6, time_limit=DAY))
    await _started(service, "eval", submit("eval", gpus=2, time_limit=DAY, similarity="sft:qwen"))
    await _started(service, "llama-70b", submit("llama-70b", gpus=4, time_limit=DAY, project="nlp"))
    await _started(service, "chat", submit("chat", kind="deploy", memory_mib=49152))
    await _started(service, "embed", submit("embed", kind="deploy", memory_mib=8192))
    await _started(service, "draft", submit("draft", time_limit=DAY))
    for run in ("training-pretrain-1", "training-eval-1", "deploy-chat-1", "deploy-embed-1"):
        await service.beat(run)
    await service.beat("training-llama-70b-1", step=640, total_steps=1000, seconds_per_step=2.0)
    await service.beat("training-draft-1", step=100, total_steps=1000, seconds_per_step=12.0)


async def _wait(service) -> None:
    """One job for each reason; `quick` alone is short enough for the gap in front of `big`."""
    await _told(service, "big", service.submit("big", gpus=6, time_limit=DAY))
    await _told(service, "patient", service.submit("patient", time_limit=DAY, similarity="sft:qwen"))
    await _started(service, "quick", service.submit("quick", time_limit=300.0))
    await service.beat("training-quick-1")
    await _told(service, "nlp-tune", service.submit("nlp-tune", project="nlp", time_limit=DAY))
    await _told(service, "on-l4", service.submit("on-l4", gpu_name="l4", time_limit=DAY))
    await _told(service, "on-b200", service.submit("on-b200", gpu_name="b200", time_limit=DAY))
    await _told(service, "huge", service.submit("huge", gpus=12, time_limit=DAY))
    await _told(service, "share", service.submit("share", memory_mib=61440, time_limit=DAY))
    tonight = time.time() + 2 * HOUR
    await _told(service, "tonight", service.submit("tonight", earliest_start=tonight, time_limit=HOUR))
    await _told(service, "held", service.submit("held", time_limit=HOUR))


async def _started(service, job, submitted) -> None:
    await submitted
    await service.until(lambda events: job in _jobs(events, "gpu.lease.granted"), f"{job} runs")


async def _told(service, job, submitted) -> None:
    await submitted
    await service.until(lambda events: job in _jobs(events, "gpu.entry.waiting"), f"{job} waits")


def _jobs(events, kind) -> set[str]:
    return {event.subject.partition("-")[2].rpartition("-")[0] for event in events if event.type == kind}


async def _progress_is_known(service) -> None:
    """The service listens to runners every few seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            gpus = (await service.stub.ListGpus(pb.ListGpusRequest())).gpus
            if {h.job_id for gpu in gpus for h in gpu.holders if h.until_basis == "progress"} == REPORTING:
                return
            await asyncio.sleep(0.1)
