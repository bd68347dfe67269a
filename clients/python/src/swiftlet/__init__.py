"""The Python SDK of Swiftlet: fine-tune and serve language models on the GPUs that a team owns.

    from swiftlet import Client

    with Client() as client:
        job = client.train("Qwen/Qwen3-0.6B", "train.jsonl", "output", num_epochs=3, wait=True)
        deployment = client.deploy(job, wait=True)

`swiftlet.aio` has the same for asyncio. Everything is imported at its first use: the servers, which
share this package for its stubs, never load the SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swiftlet._shared.config import Retry
    from swiftlet._shared.errors import (
        AlreadyExists,
        Conflict,
        DeadlineExceeded,
        DeploymentFailed,
        FieldError,
        ImpossibleRequest,
        InternalError,
        InvalidArgument,
        JobFailed,
        LimitReached,
        NotFound,
        PathNotUsable,
        PermissionDenied,
        ResumeTokenExpired,
        SwiftletError,
        Unavailable,
        Unreachable,
        Unsupported,
        WatcherTooSlow,
        WorkFailed,
        WrongState,
    )
    from swiftlet._shared.options import DeployOptions, JobOptions, TrainingOptions
    from swiftlet._shared.watches import Queue
    from swiftlet._shared.words import DeployStatus, JobStatus, to_dict
    from swiftlet._sync.client import Client
    from swiftlet._sync.deployment import Deployment
    from swiftlet._sync.job import Job
    from swiftlet._sync.pager import Pager

__all__ = [
    "AlreadyExists",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "DeployOptions",
    "DeployStatus",
    "Deployment",
    "DeploymentFailed",
    "FieldError",
    "ImpossibleRequest",
    "InternalError",
    "InvalidArgument",
    "Job",
    "JobFailed",
    "JobOptions",
    "JobStatus",
    "LimitReached",
    "NotFound",
    "Pager",
    "PathNotUsable",
    "PermissionDenied",
    "Queue",
    "ResumeTokenExpired",
    "Retry",
    "SwiftletError",
    "TrainingOptions",
    "Unavailable",
    "Unreachable",
    "Unsupported",
    "WatcherTooSlow",
    "WorkFailed",
    "WrongState",
    "to_dict",
]

_HOMES = {
    "Client": "swiftlet._sync.client",
    "Deployment": "swiftlet._sync.deployment",
    "Job": "swiftlet._sync.job",
    "Pager": "swiftlet._sync.pager",
    "Retry": "swiftlet._shared.config",
    "DeployOptions": "swiftlet._shared.options",
    "JobOptions": "swiftlet._shared.options",
    "TrainingOptions": "swiftlet._shared.options",
    "Queue": "swiftlet._shared.watches",
    "DeployStatus": "swiftlet._shared.words",
    "JobStatus": "swiftlet._shared.words",
    "to_dict": "swiftlet._shared.words",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'swiftlet' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "swiftlet._shared.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
