"""The words of the REST API for enumerations, and messages as the REST API shows them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from swiftlet._shared.errors import Cause, FieldError, InvalidArgument


class JobStatus(StrEnum):
    """Where a training job stands."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPORTING = "exporting"

    @property
    def ended(self) -> bool:
        """True if it stays so."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


class DeployStatus(StrEnum):
    """Where a deployment stands."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True if it stays so until it is started again."""
        return self in {DeployStatus.COMPLETED, DeployStatus.FAILED, DeployStatus.CANCELLED}


def word(enum: EnumDescriptor, number: int) -> str:
    """The REST word of an enum's number: "running". A number that we don't know stays a number."""
    value = enum.values_by_number.get(number)
    return _short(enum, value.name) if value else str(number)


def number(enum: EnumDescriptor, text: str, field: str) -> int:
    """The number of a REST word, in any case; raises InvalidArgument that names `field` and the words."""
    words = {_short(enum, value.name): value.number for value in enum.values if value.number}
    if text.lower() in words:
        return words[text.lower()]
    problem = f"{text!r} is none of {', '.join(words)}"
    raise InvalidArgument(
        f"{field}: {problem}.", Cause(reason="INVALID_ARGUMENT", fields=(FieldError(field, problem),))
    )


def to_dict(message: Message) -> dict[str, Any]:
    """A message as the REST API shows it: snake_case, zero values written out, enums as words."""
    shown = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return _with_words(shown, cast("Descriptor", message.DESCRIPTOR))


def _with_words(shown: dict[str, Any], descriptor: Descriptor) -> dict[str, Any]:
    return {name: _value(value, descriptor.fields_by_name.get(name)) for name, value in shown.items()}


def _value(value: Any, field: FieldDescriptor | None) -> Any:
    if field is None:
        return value
    if isinstance(value, list):
        return [_value(item, field) for item in value]
    if field.enum_type is not None and isinstance(value, str):
        return _short(field.enum_type, value)
    if isinstance(value, dict) and field.message_type is not None:
        return _with_words(value, field.message_type)
    return value


def _short(enum: EnumDescriptor, name: str) -> str:
    """JOB_STATUS_RUNNING is "running"; what all the names begin with says nothing."""
    return name.removeprefix(enum.values[0].name.removesuffix("UNSPECIFIED")).lower()
