"""What a deployment is to serve: a directory, a hub id, or what a training job exported."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import grpc
import grpc.aio

from swiftlet.training.v1 import training_service_pb2, training_service_pb2_grpc
from swiftletd.kernel.errors import Unavailable, WrongState, invalid, shown
from swiftletd.kernel.ids import is_id

TIMEOUT = 5.0  # seconds


class LocalModels:
    """See ports.Models. Relative paths are taken from `work_dir`."""

    def __init__(self, training: grpc.aio.Channel, work_dir: Path) -> None:
        self._training = training_service_pb2_grpc.TrainingServiceStub(training)
        self._work_dir = work_dir

    async def resolve(self, model_path: str) -> str:
        if path := await asyncio.to_thread(self._directory, model_path):
            return self._checked(path)
        if is_id(model_path) and (exported := await self._exported(model_path)):
            return self._checked(Path(exported))
        if model_path.startswith(("/", "./", "../", "~")) or "/" not in model_path:
            known = "neither a directory, nor the id of a training job, nor a hub id like org/name"
            raise invalid("model_path", f"{shown(model_path)} is {known}.")
        return model_path

    def _directory(self, model_path: str) -> Path | None:
        path = self._work_dir / os.path.expanduser(model_path)  # noqa: PTH111 (raises nothing)
        try:
            return path.resolve() if path.is_dir() else None
        except OSError:
            return None  # no name of a file: too long, a loop, ...

    def _checked(self, path: Path) -> str:
        if not any((path / name).is_file() for name in ("config.json", "adapter_config.json")):
            raise invalid(
                "model_path", f"{path} has neither config.json nor adapter_config.json: it is no model."
            )
        return str(path)

    async def _exported(self, job_id: str) -> str:
        request = training_service_pb2.GetTrainingJobRequest(job_id=job_id)
        try:
            job = await self._training.GetTrainingJob(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return ""
            raise Unavailable("training") from error
        if not job.export_completed:
            text = f"Job {job_id} has no exported model. Wait for export_completed, or POST its /export."
            raise WrongState(job_id, "not exported", "deploy", text)
        return job.export_path
