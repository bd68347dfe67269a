"""Which call a request is, and what a repeat of it gets."""

from __future__ import annotations

from typing import Any

import pytest

from swiftlet.training.v1 import training_service_pb2 as pb
from swiftletd.kernel.errors import InvalidArgument, NotFound
from swiftletd.kernel.idempotency import UNKEYED, Repeated
from swiftletd.kernel.rpc.call import Call
from swiftletd.kernel.rpc.idempotent import idempotent, once

STOP = "/swiftlet.training.v1.TrainingService/StopTrainingJob"
GET = "/swiftlet.training.v1.TrainingService/GetTrainingJob"


class Marks(dict[str, bytes]):
    async def get(self, key: str) -> bytes | None:  # type: ignore[override]
        return dict.get(self, key)


class Context:
    def __init__(self) -> None:
        self.sent: tuple[Any, ...] = ()

    async def send_initial_metadata(self, metadata: tuple[Any, ...]) -> None:
        self.sent = metadata


def said(job_id: str) -> pb.TrainingJobActionResponse:
    return pb.TrainingJobActionResponse(job_id=job_id, message="Stopped.")


def a_call(request: Any, method: str = STOP, **metadata: str) -> Call:
    sent = {key.replace("_", "-"): value for key, value in metadata.items()}
    return Call(method, request, Context(), False, sent)  # type: ignore[arg-type]


class Service:
    """Stops a job once for each call, as the scripts do."""

    def __init__(self) -> None:
        self.marks, self.calls = Marks(), 0
        self._interceptor = idempotent(self.marks)

    async def stop(self, call: Call) -> Any:
        self.calls += 1
        made = once(call.request, said)
        if made.key in self.marks:
            raise Repeated(made.key)
        if made.key:
            self.marks[made.key] = made.mark(call.request.job_id)
        return said(call.request.job_id)

    async def __call__(self, call: Call) -> Any:
        return await self._interceptor(call, self.stop)


async def test_a_repeat_by_field_or_header_gets_the_first_answer_and_is_told_so() -> None:
    service = Service()
    first = a_call(pb.StopTrainingJobRequest(job_id="a"), idempotency_key="k")
    again = a_call(pb.StopTrainingJobRequest(job_id="a", request_id="k"))
    assert await service(first) == await service(again) == said("a")
    assert service.calls == 1
    assert (first.context.sent, again.context.sent) == ((), (("idempotent-replayed", "true"),))  # type: ignore[attr-defined]


async def test_without_an_id_each_call_is_made() -> None:
    service = Service()
    for _ in range(2):
        await service(a_call(pb.StopTrainingJobRequest(job_id="a")))
    assert (service.calls, service.marks) == (2, {})
    assert UNKEYED.mark("a") == b""


async def test_a_call_that_changes_nothing_has_no_id() -> None:
    service = Service()
    with pytest.raises(AttributeError):  # it got as far as the double, which knows only stops
        await service(a_call(pb.GetTrainingJobRequest(job_id="a"), GET, idempotency_key="k"))


@pytest.mark.parametrize("error", [Repeated("k"), NotFound("training job", "a")])
async def test_who_lost_the_race_to_its_own_twin_gets_the_twins_answer(error: Exception) -> None:
    service = Service()

    async def lose(call: Call) -> Any:
        await service.stop(call)
        raise error

    call = a_call(pb.StopTrainingJobRequest(job_id="a", request_id="k"))
    assert await idempotent(service.marks)(call, lose) == said("a")


async def test_a_refusal_without_a_mark_stays_one() -> None:
    async def refuse(_: Call) -> Any:
        raise NotFound("training job", "a")

    with pytest.raises(NotFound):
        await idempotent(Marks())(a_call(pb.StopTrainingJobRequest(job_id="a", request_id="k")), refuse)


@pytest.mark.parametrize(
    ("request_", "method", "complaint"),
    [
        (pb.StopTrainingJobRequest(job_id="b", request_id="k"), STOP, "for a StopTrainingJob with other"),
        (
            pb.StartTrainingJobRequest(job_id="a", request_id="k"),
            STOP.replace("Stop", "Start"),
            "for a StopTrainingJob. Take a new one",
        ),
        (pb.StopTrainingJobRequest(job_id="a", request_id="k" * 129), STOP, "longer than 128"),
    ],
)
async def test_an_id_is_for_one_call_and_not_too_long(request_: Any, method: str, complaint: str) -> None:
    service = Service()
    await service(a_call(pb.StopTrainingJobRequest(job_id="a", request_id="k")))
    with pytest.raises(InvalidArgument, match=complaint) as refused:
        await service(a_call(request_, method))
    assert refused.value.violations[0].field == "request_id"
    assert service.calls == 1
