"""The port that the use cases know."""

from __future__ import annotations

import asyncio
import os

from swiftletd.kernel.errors import ServiceError, invalid
from swiftletd.training.adapters.preflight.dataset import split_sample
from swiftletd.training.adapters.preflight.inspect import confine, inspect
from swiftletd.training.adapters.preflight.kept import NotKept
from swiftletd.training.adapters.preflight.local import Locality, is_local
from swiftletd.training.adapters.preflight.order import Facts, Order
from swiftletd.training.adapters.preflight.places import Places
from swiftletd.training.adapters.preflight.reading import AnyReader, Reader
from swiftletd.training.adapters.swift_schema import SwiftSchema, TrainerMissing
from swiftletd.training.domain.command import job_output_dir
from swiftletd.training.domain.job import Job, changed
from swiftletd.training.domain.param_rules import check_cpu
from swiftletd.training.domain.params import BaseTrainingParams, to_dict
from swiftletd.training.domain.violations import InvalidParams, placed
from swiftletd.training.ports import Machines
from swiftletd.training.settings import TrainingSettings


class TrainerUnavailable(ServiceError):
    """There is no usable trainer environment; the message says how to get one."""

    code = "FAILED_PRECONDITION"
    reason = "TRAINER_UNAVAILABLE"


MORE_FILES = ("val_dataset", "ref_model", "resume_from_checkpoint", "deepspeed")


class LocalPreflight:
    """See ports.Preflight. PREFLIGHT=false leaves the files unread, not the paths unchecked."""

    def __init__(self, settings: TrainingSettings, schema: SwiftSchema, machines: Machines) -> None:
        self._machines, self._python = machines, str(settings.trainer_python)
        self._schema, self._rows = schema, settings.preflight_rows
        self._reads = settings.preflight
        self._reader, self._locality = Reader(), Locality()
        self._places = Places(base=settings.work_dir.absolute(), roots=settings.roots())

    async def check(self, job: Job, params: BaseTrainingParams, block: str) -> Job:
        # Few jobs ask for what only a GPU can do, so the question costs the others nothing.
        if (faults := check_cpu(job.params)) and await self._machines.only_cpu():
            raise InvalidParams(placed(block, faults))
        places = (job.model_path, job.data_path, job.output_dir)
        order = _order(job, params, block)
        reading = self._reads and (_names_more(job) or not self._schema.is_known())
        if self._locality.knows(places) and not reading:
            try:
                return self._check(job, order, self._reader.quick)
            except NotKept:
                pass
        checked, local = await asyncio.to_thread(self._check_anywhere, job, order)
        if local:
            self._locality.learn(places)
        return checked

    def _check_anywhere(self, job: Job, order: Order) -> tuple[Job, bool]:
        """The checked job, and whether its paths can be looked at without a network."""
        checked = self._check(job, order, self._reader)
        return checked, all(map(is_local, (checked.model_path, _file(checked.data_path), checked.output_dir)))

    def _check(self, job: Job, order: Order, reader: AnyReader) -> Job:
        facts = self._facts(order, reader) if self._reads else Facts(order=confine(order, self._places))
        checked = facts.order
        _refuse_leftovers(checked.output_dir, job.id)
        return changed(
            job,
            model_path=checked.model_path,
            data_path=checked.data_path,
            output_dir=checked.output_dir,
            params=job.params if checked.params is order.params else to_dict(checked.params),
            disk_needed=facts.disk_needed,
        )

    def _facts(self, order: Order, reader: AnyReader) -> Facts:
        """What can be learned of an order without starting it. Raises InvalidParams, TrainerUnavailable."""
        try:
            installation = self._schema.installation()
        except TrainerMissing as error:
            raise TrainerUnavailable(str(error), metadata={"python": self._python}) from None
        return inspect(order, self._places, installation, reader, rows=self._rows)


def _names_more(job: Job) -> bool:
    """Whether other files than the model and the data set have to be looked at."""
    return any(job.params.get(name) for name in MORE_FILES)


def _file(data_path: str) -> str:
    """The path without the number of samples behind it."""
    return data_path if os.path.exists(data_path) else split_sample(data_path)[0]


def _refuse_leftovers(output_dir: str, job_id: str) -> None:
    """ms-swift would add to what a deleted job of the same id left there."""
    home = job_output_dir(output_dir, job_id, 1)
    if os.path.isdir(home) and os.listdir(home):
        text = f"an earlier job left its results in {home}; choose another id or output_dir."
        raise invalid("job_id", text)


def _order(job: Job, params: BaseTrainingParams, block: str) -> Order:
    return Order(
        method=job.method,
        params=params,
        model_path=job.model_path,
        data_path=job.data_path,
        output_dir=job.output_dir,
        keep_optimizer=job.max_retries > 0,
        at=block,
    )
