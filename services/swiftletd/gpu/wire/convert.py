"""Answers in the language of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from swiftlet.gpu.v1.gpu_pb2 import (
    GPU_STATUS_ALLOCATED,
    GPU_STATUS_AVAILABLE,
    GPU_STATUS_BUSY,
    GPU_STATUS_LOST,
    Gpu,
    GpuHolder,
    GpuLink,
    GpuProcess,
    GpuStatus,
)
from swiftlet.gpu.v1.gpu_service_pb2 import GpuTotals, PredictionScore, ProcessQueueResponse
from swiftlet.gpu.v1.queue_pb2 import PassResult, QueueItem, UnblockHint
from swiftletd.gpu.domain.device import MIB_PER_GIB, DeviceKind, Health, busy_sentence
from swiftletd.gpu.domain.durations import Grounds
from swiftletd.gpu.domain.hints import Change, Hint
from swiftletd.gpu.domain.outlook import Tenure
from swiftletd.gpu.domain.reason import Blocker, Code, Reason, span
from swiftletd.gpu.domain.score import Score
from swiftletd.gpu.ports import Process, Reading
from swiftletd.gpu.usecases.answers import Occupancy, Standing
from swiftletd.gpu.usecases.grants import Passed
from swiftletd.kernel.ids import rfc3339

HINT_WORDS: Mapping[Change, str] = {
    Change.GPUS: "fewer_gpus",
    Change.GPU_NAME: "other_gpu",
    Change.MACHINES: "several_machines",
    Change.SHARED: "shared_gpu",
    Change.PRIORITY: "higher_priority",
}
COUNTING_FREE = frozenset({Code.BUSY, Code.FRAGMENTED, Code.UNHEALTHY, Code.STRANGER})
SOON_S = 1.0


def to_queue_item(standing: Standing, now: float) -> QueueItem:
    record, entry = standing.record, standing.record.entry
    expected = standing.prediction
    p50 = expected.p50 if expected else None
    p90 = expected.p90 if expected else None
    item = QueueItem(
        job_id=entry.job_id,
        queue_position=standing.position,
        priority=entry.priority,
        gpu_ids=standing.gpu_ids,
        created_at=rfc3339(entry.enqueued_at),
        estimated_wait_time=wait_time(p50, now),
        kind=entry.kind.value,
        predicted_start_p50=rfc3339(p50 or 0.0),
        predicted_start_p90=rfc3339(p90 or 0.0),
        hints=[_hint(hint, now) for hint in standing.hints],
        held=entry.held,
        gpus=entry.request.gpus,
        project=entry.project,
        expected_duration=standing.expected_s or 0.0,
        duration_basis=basis(standing.grounds),
    )
    if record.id and standing.reason:
        item.reason_code, item.reason = standing.reason.code.name, sentence(standing.reason.sentence())
        item.reason_details.update(details(standing.reason))
    return item


def wait_time(start: float | None, now: float) -> str:
    """How long until the start, for people."""
    if start is None:
        return "unknown"
    return f"about {span(start - now)}" if start - now >= SOON_S else "any moment"


def details(reason: Reason) -> dict[str, str]:
    """The numbers of a reason that say something."""
    numbers: Mapping[str, object] = {
        "gpus": reason.gpus,
        "memory_mib": reason.memory_mib,
        "gpu_name": reason.gpu_name,
        "machine": reason.machine,
        "free": str(reason.free) if reason.code in COUNTING_FREE else "",
        "exist": reason.exist,
        "limit": reason.limit,
        "used": reason.used,
        "wait_seconds": "" if reason.wait_s is None else f"{reason.wait_s:.0f}",
        "ahead": reason.ahead,
        "blockers": "; ".join(_blocker(blocker) for blocker in reason.blockers),
    }
    return {name: str(value) for name, value in numbers.items() if value}


def _blocker(blocker: Blocker) -> str:
    frees = f"{blocker.job_id} frees {blocker.frees}"
    if blocker.ends_in_s is None:
        return frees
    return f"{frees} in {blocker.ends_in_s:.0f} s ({basis(blocker.grounds)})"


def basis(grounds: Grounds | None) -> str:
    """What an estimate rests on, as a word; empty for none."""
    return grounds.source.value if grounds else ""


def sentence(text: str) -> str:
    """A clause as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _hint(hint: Hint, now: float) -> UnblockHint:
    return UnblockHint(
        change=HINT_WORDS[hint.change],
        message=sentence(hint.sentence(now)),
        predicted_start=rfc3339(hint.start.p50 or 0.0),
    )


def to_gpus(answers: Sequence[Occupancy], jobs: Mapping[str, str], now: float) -> list[Gpu]:
    """`jobs` names the job of an entry."""
    return [to_gpu(answer, jobs.get(answer.outlook.next_entry, ""), now) for answer in answers]


def to_totals(answers: Sequence[Occupancy], reading: Reading) -> GpuTotals:
    """Of whole GPUs only: the memory of a slice is a part of theirs."""
    whole = [answer for answer in answers if answer.device.kind is DeviceKind.GPU]
    total = sum(answer.device.memory_mib for answer in whole)
    used = sum(answer.telemetry.memory_used_mib for answer in whole)
    return GpuTotals(
        count=len(whole),
        total_memory=total,
        used_memory=used,
        memory_usage_percent=round(100 * used / total, 1) if total else 0.0,
        driver_version=reading.driver,
        cuda_version=reading.cuda,
        driver_problem=reading.problem,
    )


def to_gpu(answer: Occupancy, next_job: str, now: float) -> Gpu:
    device, telemetry, tenures = answer.device, answer.telemetry, answer.outlook.tenures
    return Gpu(
        id=device.index,
        name=device.name,
        memory_total=device.memory_mib,
        memory_used=telemetry.memory_used_mib,
        memory_free=max(0, device.memory_mib - telemetry.memory_used_mib),
        utilization=telemetry.utilization,
        temperature=telemetry.temperature,
        status=status(answer),
        job_id=tenures[0].job_id if tenures else "",
        available=answer.free,
        uuid=device.uuid,
        machine=device.machine,
        power=telemetry.power_w,
        holder=holder(answer, now),
        holders=[_holder(tenure) for tenure in tenures],
        next_job_id=next_job,
        next_start=rfc3339(answer.outlook.next_at or 0.0) if next_job else "",
        processes=[_process(process, tenures) for process in telemetry.processes],
        parent_uuid=device.parent or "",
        links=[GpuLink(uuid=uuid, level=level) for uuid, level in telemetry.links.items()],
    )


def status(answer: Occupancy) -> GpuStatus.ValueType:
    if answer.device.health is not Health.HEALTHY:
        return GPU_STATUS_LOST
    if answer.outlook.tenures:
        return GPU_STATUS_ALLOCATED
    return GPU_STATUS_BUSY if answer.crowded else GPU_STATUS_AVAILABLE


def holder(answer: Occupancy, now: float) -> str:
    """Whose the device is, as a sentence."""
    if answer.device.health is not Health.HEALTHY:
        return HEALTH_SAYS[answer.device.health]
    parts = [_tenure(tenure, now) for tenure in answer.outlook.tenures]
    if busy := busy_sentence(answer.device):
        parts.append(busy)
    return "; ".join(parts)


HEALTH_SAYS = {
    Health.LOST: "lost: it fell off the bus",
    Health.FAILED: "failed: it answers with errors",
    Health.UNKNOWN: "unknown: the driver doesn't answer",
    Health.DRAINED: "taken out of service",
}


def _tenure(tenure: Tenure, now: float) -> str:
    why = f" ({tenure.grounds.words()})" if tenure.grounds else ""
    until = f", until about {_moment(tenure.until, now)}{why}" if tenure.until else ", end unknown"
    part = f" ({tenure.memory_mib / MIB_PER_GIB:.3g} GiB)" if tenure.memory_mib is not None else ""
    return f"job {tenure.job_id}{part} since {_moment(tenure.since, now)}{until}"


def _moment(at: float, now: float) -> str:
    """The time of day, with the date if it is another day."""
    day, _, time = rfc3339(at).partition("T")
    return f"{time[:5]} UTC" if day == rfc3339(now)[:10] else f"{day} {time[:5]} UTC"


def _holder(tenure: Tenure) -> GpuHolder:
    kind = tenure.lease_id.partition("-")[0]
    return GpuHolder(
        job_id=tenure.job_id,
        kind=kind,
        since=rfc3339(tenure.since),
        until=rfc3339(tenure.until or 0.0),
        memory=tenure.memory_mib or 0,
        until_basis=basis(tenure.grounds),
    )


def _process(process: Process, tenures: Sequence[Tenure]) -> GpuProcess:
    ours = any(tenure.lease_id == process.run for tenure in tenures)
    return GpuProcess(
        pid=process.pid, name=process.name, user=process.user, memory=process.memory_mib, ours=ours
    )


def to_pass(passed: Passed) -> ProcessQueueResponse:
    failed = f", {len(passed.failed)} could not be started" if passed.failed else ""
    did = f"Looked at {passed.processed}, started {len(passed.started)}{failed}."
    return ProcessQueueResponse(
        message="The pass has begun; what it does is seen in the queue." if passed.unknown else did,
        result=PassResult(
            processed=passed.processed,
            started=len(passed.started),
            failed=len(passed.failed),
            details=passed.details,
        ),
    )


def to_score(score: Score) -> PredictionScore:
    return PredictionScore(
        count=score.starts,
        before_p50=score.by_p50,
        before_p90=score.by_p90,
        message=sentence(score.sentence()),
    )
