"""Values into messages: refused by name where they don't fit, with the nearest name that would."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from swiftlet._shared.errors import Cause, FieldError, InvalidArgument
from swiftlet.training.v1.params_pb2 import TrainingParams

PARAMS: Mapping[str, FieldDescriptor] = MappingProxyType(dict(TrainingParams.DESCRIPTOR.fields_by_name))

_BOOLEANS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_KIND = {
    FieldDescriptor.CPPTYPE_INT32: "a whole number",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_STRING: "text",
}
_TYPES: Mapping[int, tuple[type, ...]] = MappingProxyType(
    {
        FieldDescriptor.CPPTYPE_INT32: (int,),
        FieldDescriptor.CPPTYPE_DOUBLE: (int, float),
        FieldDescriptor.CPPTYPE_BOOL: (bool,),
        FieldDescriptor.CPPTYPE_STRING: (str,),
    }
)
_READ: Mapping[int, Callable[[str], object]] = MappingProxyType(
    {
        FieldDescriptor.CPPTYPE_INT32: int,
        FieldDescriptor.CPPTYPE_DOUBLE: float,
        FieldDescriptor.CPPTYPE_BOOL: lambda text: _BOOLEANS[text.lower()],
        FieldDescriptor.CPPTYPE_STRING: str,
    }
)


def fill(message: Message, values: Mapping[str, Any]) -> None:
    """Put each value into the field of its name; None means not given.

    Raises InvalidArgument that names each value of a wrong type. Ranges are the server's to check.
    """
    wrong = []
    for name, value in values.items():
        try:
            _put(message, _fields(message)[name], value)
        except (TypeError, ValueError) as problem:
            wrong.append(FieldError(name, str(problem)))
    if wrong:
        raise refused(wrong)


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise InvalidArgument if a name isn't known, with the nearest one that is."""
    names, known = list(names), list(known)
    wrong = [FieldError(name, _no_such(name, known)) for name in names if name not in known]
    if wrong:
        raise refused(wrong)


def parse_param(text: str) -> tuple[str, object]:
    """Read `name=value` as the type of the training parameter wants it; commas separate lists.

    Raises InvalidArgument.
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise refused([FieldError(name, "write it as name=value")])
    check_names([name], PARAMS)
    try:
        return name, _read(PARAMS[name], value.strip())
    except ValueError as problem:
        raise refused([FieldError(name, str(problem))]) from None


def refused(wrong: Iterable[FieldError]) -> InvalidArgument:
    """The error for fields that are at fault."""
    fields = tuple(wrong)
    message = "; ".join(f"{at.field}: {at.description}" for at in fields)
    return InvalidArgument(
        message if message.endswith("?") else f"{message}.", Cause(reason="INVALID_ARGUMENT", fields=fields)
    )


def _no_such(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no such option; {f'did you mean {near[0]}?' if near else 'see `swiftlet params`'}"


def _fields(message: Message) -> Mapping[str, FieldDescriptor]:
    return cast("Mapping[str, FieldDescriptor]", message.DESCRIPTOR.fields_by_name)


def _put(message: Message, field: FieldDescriptor, value: Any) -> None:
    if value is None:
        return
    if field.message_type is not None:
        getattr(message, field.name).update({str(key): str(item) for key, item in dict(value).items()})
    elif field.is_repeated:
        items = [value] if isinstance(value, str) else list(value)
        getattr(message, field.name).extend(_checked(field, item) for item in items)
    else:
        setattr(message, field.name, _checked(field, value))


def _checked(field: FieldDescriptor, value: Any) -> Any:
    """The value, if it is of the field's type; True is no number here, though Python says so."""
    kind = field.cpp_type
    is_number_for_bool = isinstance(value, bool) and kind != FieldDescriptor.CPPTYPE_BOOL
    if is_number_for_bool or not isinstance(value, _TYPES[kind]):
        raise TypeError(f"must be {_KIND[kind]}, not {value!r}")
    return value


def _read(field: FieldDescriptor, text: str) -> object:
    if field.message_type is not None:
        raise ValueError("give flags of ms-swift one by one: -x name=value")
    if field.is_repeated:
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return _READ[field.cpp_type](text)
    except (ValueError, KeyError):
        raise ValueError(f"must be {_KIND[field.cpp_type]}, not {text!r}") from None
