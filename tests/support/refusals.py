"""One refusal for each reason of the catalogue that an RPC can give, made as the services make it."""

from __future__ import annotations

from collections.abc import Mapping

from swiftletd.deploy.allocation import PortInUse
from swiftletd.kernel import errors as e
from swiftletd.kernel.rpc.interceptors.deadline import DeadlineExceeded
from swiftletd.training.adapters.preflight.check import TrainerUnavailable
from swiftletd.training.domain.param_rules import check_cpu
from swiftletd.training.domain.violations import InvalidParams, in_file


def _one(field: str, message: str, reason: str, **details: str) -> e.InvalidArgument:
    return e.InvalidArgument([e.Violation(field, message, reason, details)])


_ALL: tuple[e.ServiceError, ...] = (
    e.InvalidArgument(
        [e.Violation("priority", "must be from 0 to 10, got 11."), e.Violation("job_id", "is no id")]
    ),
    e.MalformedJson("The body is not JSON: Expecting value at line 1, column 17.", 1, 17),
    e.InvalidArgument([in_file("data_path", "has no messages", "/data/a.jsonl", 7)]),
    e.NotFound("training job", "job-1"),
    e.WrongState("job-1", "completed", "start", "The job is completed and can't be started again."),
    e.AlreadyExists("training job", "job-1"),
    e.Conflict("job-1"),
    e.ResumeTokenExpired("17-3"),
    e.WatcherTooSlow("17-3"),
    e.NotReady("training", "The training service is still recovering. Try again in a moment."),
    e.Unavailable("redis"),
    DeadlineExceeded("No answer within 30 s."),
    e.ServiceError("Something went wrong on our side.", metadata={"request_id": "9f1c"}),
    e.Unsupported("Use deploy_target local.", metadata={"field": "deploy_target", "value": "k8s"}),
    InvalidParams(check_cpu({"deepspeed": "zero2"})),
    _one("output_dir", "has no room", "NO_DISK_SPACE", needed_bytes="9000000000", free_bytes="1000000000"),
    e.LimitReached("10000 jobs wait.", metadata={"limit": "10000", "what": "waiting jobs"}),
    PortInUse(8001),
    e.StoreFull("memory", "Redis has no memory left."),
    TrainerUnavailable("There is no ms-swift.", metadata={"python": ".venv-trainer/bin/python"}),
)
REFUSALS: Mapping[str, e.ServiceError] = {error.reason: error for error in _ALL}
