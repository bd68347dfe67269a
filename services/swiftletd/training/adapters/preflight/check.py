"""The port that the use cases know."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from swiftletd.kernel.errors import ServiceError, invalid
from swiftletd.training.adapters.preflight.inspect import confine, inspect
from swiftletd.training.adapters.preflight.order import Facts, Order
from swiftletd.training.adapters.preflight.places import Places
from swiftletd.training.adapters.preflight.reading import Reader
from swiftletd.training.adapters.swift_schema import SwiftSchema, TrainerMissing
from swiftletd.training.domain.command import job_output_dir
from swiftletd.training.domain.job import Job
from swiftletd.training.domain.param_rules import check_cpu
from swiftletd.training.domain.params import restore_params, to_dict
from swiftletd.training.domain.violations import InvalidParams, placed
from swiftletd.training.ports import Machines
from swiftletd.training.settings import TrainingSettings


class TrainerUnavailable(ServiceError):
    """There is no usable trainer environment; the message says how to get one."""

    code = "FAILED_PRECONDITION"
    reason = "TRAINER_UNAVAILABLE"


class LocalPreflight:
    """See ports.Preflight. PREFLIGHT=false leaves the files unread, not the paths unchecked."""

    def __init__(self, settings: TrainingSettings, schema: SwiftSchema, machines: Machines) -> None:
        self._machines, self._python = machines, str(settings.trainer_python)
        self._schema, self._rows = schema, settings.preflight_rows
        self._reads = settings.preflight
        self._reader = Reader()
        self._places = Places(base=settings.work_dir.absolute(), roots=settings.roots())

    async def check(self, job: Job, block: str) -> Job:
        # Few jobs ask for what only a GPU can do, so the question costs the others nothing.
        if (faults := check_cpu(job.params)) and await self._machines.only_cpu():
            raise InvalidParams(placed(block, faults))
        return await asyncio.to_thread(self._check, job, block)

    def _check(self, job: Job, block: str) -> Job:
        order = _order(job, block)
        facts = self.facts(order) if self._reads else Facts(order=confine(order, self._places))
        checked = facts.order
        _refuse_leftovers(checked.output_dir, job.id)
        return replace(
            job,
            model_path=checked.model_path,
            data_path=checked.data_path,
            output_dir=checked.output_dir,
            params=to_dict(checked.params),
            disk_needed=facts.disk_needed,
        )

    def facts(self, order: Order) -> Facts:
        """What can be learned of an order without starting it. Raises InvalidParams, TrainerUnavailable."""
        try:
            installation = self._schema.installation()
        except TrainerMissing as error:
            raise TrainerUnavailable(str(error), metadata={"python": self._python}) from None
        return inspect(order, self._places, installation, self._reader, rows=self._rows)


def _refuse_leftovers(output_dir: str, job_id: str) -> None:
    """ms-swift would add to what a deleted job of the same id left there."""
    home = job_output_dir(output_dir, job_id, 1)
    if os.path.isdir(home) and os.listdir(home):
        text = f"an earlier job left its results in {home}; choose another id or output_dir."
        raise invalid("job_id", text)


def _order(job: Job, block: str) -> Order:
    return Order(
        method=job.method,
        params=restore_params(job.trainer_type, job.params),
        model_path=job.model_path,
        data_path=job.data_path,
        output_dir=job.output_dir,
        keep_optimizer=job.max_retries > 0,
        at=block,
    )
