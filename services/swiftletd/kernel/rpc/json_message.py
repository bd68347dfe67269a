"""From parsed JSON to a protobuf message, strictly, with a violation for each field at fault.

The reader of each message type is worked out once from its descriptor; protobuf's own json_format is several
times slower, stops at the first error and accepts numbers in strings.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from difflib import get_close_matches
from functools import cache, partial
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from swiftletd.kernel.errors import Violation

MAX_VIOLATIONS = 10  # they travel in a header, and gRPC clients take 8 KiB of these
MAX_LISTED = 12  # fields that a message names to a client who missed them
MAX_ECHO = 40  # characters of a client's own text that are repeated to it
MAX_PATH = 100

Scalar = str | int | float | bool
Convert = Callable[[object], Scalar]
Put = Callable[[Message, Any, str, list[Violation]], None]


class Repeated(dict[str, Any]):
    """A JSON object in which a key came more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.keys_given_twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]


class WrongValueError(Exception):
    """A value doesn't fit its field; the text says what would."""


class _EnoughError(Exception):
    """More violations than are worth telling."""


def fill(message: Message, body: Mapping[str, Any], *, in_path: Set[str] = frozenset()) -> list[Violation]:
    """Set the fields of `message` from `body`. Returns what is wrong, at most MAX_VIOLATIONS.

    Fields that are `in_path` may come again, but are not told to a client who missed a name.
    """
    wrong: list[Violation] = []
    try:
        _fill(_fields(message.DESCRIPTOR), message, body, "", wrong, in_path)
    except _EnoughError:
        pass
    return wrong


def as_sent(field: FieldDescriptor, value: Any) -> Any:
    """A value as JSON has it: the word of an enum."""
    if field.enum_type is None:
        return value
    start = len(field.enum_type.values_by_number[0].name) - len("UNSPECIFIED")
    return field.enum_type.values_by_number[value].name[start:].lower()


def _fill(
    fields: dict[str, Put],
    message: Message,
    body: Mapping[str, Any],
    path: str,
    wrong: list[Violation],
    in_path: Set[str] = frozenset(),
) -> None:
    if isinstance(body, Repeated):
        _tell_repeated(body, path, wrong)
    for name, value in body.items():
        put = fields.get(name)
        if put is None:
            _tell(wrong, path + name, _unknown(name, [known for known in fields if known not in in_path]))
        elif value is not None:
            try:
                put(message, value, path + name, wrong)
            except WrongValueError as error:
                _tell(wrong, path + name, str(error))


def _tell(wrong: list[Violation], path: str, message: str) -> None:
    short = path if len(path) <= MAX_PATH else path[:MAX_PATH] + "..."
    wrong.append(Violation(short.encode(errors="replace").decode() or '""', message))  # a key may be empty
    if len(wrong) >= MAX_VIOLATIONS:
        raise _EnoughError


def _tell_repeated(body: Repeated, path: str, wrong: list[Violation]) -> None:
    for key in body.keys_given_twice:
        _tell(wrong, path + key, "is given more than once; leave one")


def _unknown(name: str, fields: Sequence[str]) -> str:
    close = get_close_matches(name[:MAX_ECHO].lower(), fields, 1)
    if close:
        return f"unknown field; did you mean {close[0]!r}?"
    if len(fields) <= MAX_LISTED:
        return f"unknown field; there are: {', '.join(fields) or 'none'}"
    return "unknown field; /docs lists those that there are"


# --- What a field takes -------------------------------------------------------------------------------------
@cache
def _fields(descriptor: Descriptor) -> dict[str, Put]:
    return {field.name: _put(field) for field in descriptor.fields}


def _put(field: FieldDescriptor) -> Put:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return partial(_put_map, field.name, _convert(kind.fields_by_name["value"]))
    if kind is not None and field.is_repeated:
        return partial(_put_messages, field.name, kind)
    if kind is not None:
        return partial(_put_message, field.name, kind)
    if field.is_repeated:
        return partial(_put_list, field.name, _convert(field))
    return partial(_put_scalar, field.name, _convert(field))


def _put_scalar(
    name: str, convert: Convert, message: Message, value: object, path: str, wrong: list[Violation]
) -> None:
    setattr(message, name, convert(value))


def _put_message(
    name: str, kind: Descriptor, message: Message, value: object, path: str, wrong: list[Violation]
) -> None:
    if not isinstance(value, dict):
        raise WrongValueError(f"must be an object, got {_show(value)}")
    inner = getattr(message, name)
    inner.SetInParent()  # {} is something else than nothing
    _fill(_fields(kind), inner, value, path + ".", wrong)


def _put_messages(
    name: str, kind: Descriptor, message: Message, value: object, path: str, wrong: list[Violation]
) -> None:
    for index, item in enumerate(_list(value)):
        where = f"{path}[{index}]"
        if isinstance(item, dict):
            _fill(_fields(kind), getattr(message, name).add(), item, where + ".", wrong)
        else:
            _tell(wrong, where, f"must be an object, got {_show(item)}")


def _put_list(
    name: str, convert: Convert, message: Message, value: object, path: str, wrong: list[Violation]
) -> None:
    target = getattr(message, name)
    for index, item in enumerate(_list(value)):
        try:
            target.append(convert(item))
        except WrongValueError as error:
            _tell(wrong, f"{path}[{index}]", str(error))


def _put_map(
    name: str, convert: Convert, message: Message, value: object, path: str, wrong: list[Violation]
) -> None:
    if not isinstance(value, dict):
        raise WrongValueError(f"must be an object, got {_show(value)}")
    if isinstance(value, Repeated):
        _tell_repeated(value, path + ".", wrong)
    target = getattr(message, name)
    for key, item in value.items():
        try:
            target[_text(key)] = convert(item)
        except WrongValueError as error:
            _tell(wrong, f"{path}.{key}", str(error))


def _list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    raise WrongValueError(f"must be a list, got {_show(value)}")


# --- Scalars ------------------------------------------------------------------------------------------------
def _convert(field: FieldDescriptor) -> Convert:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_STRING:
            return _text
        case FieldDescriptor.CPPTYPE_BOOL:
            return _boolean
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return _number
        case FieldDescriptor.CPPTYPE_INT32:
            return partial(_integer, -(2**31), 2**31 - 1)
        case FieldDescriptor.CPPTYPE_INT64:
            return partial(_integer, -(2**63), 2**63 - 1)
        case FieldDescriptor.CPPTYPE_ENUM if field.enum_type:
            return partial(_enum, *_words(field.enum_type))
        case _:
            raise TypeError(f"{field.full_name}: fields of this type are not taken from JSON")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError(f"must be a string, got {_show(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise WrongValueError("has half of a surrogate pair, which is no character") from None
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise WrongValueError(f"must be true or false, got {_show(value)}")


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
        raise WrongValueError("must be a number up to 1.7e308")
    raise WrongValueError(f"must be a number, got {_show(value)}")


def _integer(low: int, high: int, value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of number: 3.0 is 3
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongValueError(f"must be an integer, got {_show(value)}")
    if not low <= value <= high:
        raise WrongValueError(f"must be an integer from {low} to {high}")
    return value


def _enum(words: Mapping[str, int], known: str, value: object) -> int:
    number = words.get(value.upper()) if isinstance(value, str) else None
    if number is None:
        raise WrongValueError(f"must be one of {known}; got {_show(value)}")
    return number


def _words(enum: EnumDescriptor) -> tuple[dict[str, int], str]:
    """The words that mean a value, upper-case, full names among them; and the short ones for people."""
    start = len(enum.values_by_number[0].name) - len("UNSPECIFIED")
    words = {value.name: value.number for value in enum.values}
    short = {value.name[start:]: value.number for value in enum.values}
    return words | short, ", ".join(word.lower() for word, number in short.items() if number)


def _show(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = json.dumps(value)
    return shown if len(shown) <= MAX_ECHO else shown[:MAX_ECHO] + "..."
