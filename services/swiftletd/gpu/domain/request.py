"""What a job asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

MAX_GPUS = 1024
MAX_NAME = 128
MAX_MEMORY_MIB = 16 * 1024 * 1024
MIN_PRIORITY, MAX_PRIORITY = 0, 10


class RequestError(ValueError):
    """A request that cannot be meant. `field` names what is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Shape:
    """All of a request that decides where it fits; requests of one shape fit or fail together."""

    gpus: int
    memory_mib: int
    gpu_name: str
    min_memory_mib: int
    same_machine: bool
    shared: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """`gpus` devices, each whole, or each with `memory_mib` of it when `shared`.

    gpu_name         part of the device's name, in any case ("h100"); empty takes any.
    memory_mib       memory needed on each device; required when shared, else a lower bound.
    min_memory_mib   total memory that each device must have, however much of it is asked for.
    same_machine     all devices on one machine.
    time_limit_s     the job is ended after so long; None for never.
    earliest_start   not before this time, in seconds since the epoch; 0 for at once.
    """

    gpus: int = 1
    memory_mib: int | None = None
    gpu_name: str = ""
    min_memory_mib: int = 0
    same_machine: bool = True
    shared: bool = False
    time_limit_s: float | None = None
    earliest_start: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.gpus <= MAX_GPUS:
            raise RequestError("gpus", f"must be from 1 to {MAX_GPUS}, not {self.gpus}")
        if self.memory_mib is not None and not 1 <= self.memory_mib <= MAX_MEMORY_MIB:
            raise RequestError("memory_mib", f"must be from 1 to {MAX_MEMORY_MIB} MiB, not {self.memory_mib}")
        if not 0 <= self.min_memory_mib <= MAX_MEMORY_MIB:
            raise RequestError("min_memory_mib", f"must be from 0 to {MAX_MEMORY_MIB} MiB")
        if self.shared and self.memory_mib is None:
            raise RequestError("memory_mib", "is required for a shared request: say how much each GPU needs")
        if len(self.gpu_name) > MAX_NAME:
            raise RequestError("gpu_name", f"must have at most {MAX_NAME} letters")
        if not 0 <= self.earliest_start < inf:
            raise RequestError("earliest_start", "must be a time in seconds since the epoch, or 0")
        if self.time_limit_s is not None and not self.time_limit_s > 0:
            raise RequestError("time_limit_s", "must be more than 0; leave it out for no limit")

    @cached_property
    def shape(self) -> Shape:
        return Shape(
            gpus=self.gpus,
            memory_mib=self.memory_mib or 0,
            gpu_name=self.gpu_name.casefold(),
            min_memory_mib=self.min_memory_mib,
            same_machine=self.same_machine or self.gpus == 1,
            shared=self.shared,
        )
