"""Golden JSON: what each RPC answers over REST, written down from the protos by the rules of the contract.

`tests/golden/<service>/<Rpc>.json` has the status of success, an answer in which every field has a value, and
one in which none has. `tests/golden/errors/<REASON>.json` has a refusal for each reason that an RPC can give.
`make goldens` writes them; the tests compare them with the protos, with a real Envoy, and with a real suite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import duration_pb2, message_factory, struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from support.refusals import REFUSALS
from swiftlet_gateway.descriptor import enum_words
from swiftlet_gateway.rpcs import EMPTY, HTTP_BODY, Binding, Rpc, rpcs
from swiftletd.kernel.errors import ServiceError
from swiftletd.kernel.rpc.status import to_status

FOLDER = Path(__file__).parents[1] / "golden"
ANY_KEY = "*"  # of a map
ANY_JSON = "any JSON value"
BIG = 2**33  # a number that doesn't fit an int32 must not turn into a string


def golden_files() -> dict[Path, Any]:
    """What each golden file has to contain."""
    answers = {FOLDER / rpc.upstream / f"{rpc.name}.json": golden_of(rpc) for rpc in rpcs()}
    errors = {FOLDER / "errors" / f"{reason}.json": error_json(e) for reason, e in REFUSALS.items()}
    return answers | errors


def golden_of(rpc: Rpc) -> dict[str, Any]:
    """The status of success, and the answer full and empty; no answer where there is no JSON."""
    if rpc.response.full_name in (EMPTY, HTTP_BODY):
        return {"status": rpc.success}
    empty = message_factory.GetMessageClass(rpc.response)()
    return {"status": rpc.success, "full": as_json(filled(rpc.response)), "empty": as_json(empty)}


# --- Filled messages ----------------------------------------------------------------------------------------
def filled(kind: Descriptor) -> Message:
    """A message in which every field has a value: texts are the field's name, numbers its number."""
    message: Any = message_factory.GetMessageClass(kind)()
    if kind.full_name == struct_pb2.Value.DESCRIPTOR.full_name:
        message.string_value = ANY_JSON
        return message
    for field in kind.fields:
        _fill(message, field)
    return message


def _fill(message: Any, field: FieldDescriptor) -> None:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        getattr(message, field.name)[ANY_KEY] = _scalar(inner.fields_by_name["value"])
    elif inner is not None:
        target = getattr(message, field.name)
        (target.add() if field.is_repeated else target).CopyFrom(filled(inner))
    elif field.is_repeated:
        getattr(message, field.name).append(_scalar(field))
    else:
        setattr(message, field.name, _scalar(field))


def _scalar(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return max(field.enum_type.values_by_number)
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return field.name
        case FieldDescriptor.TYPE_BYTES:
            return field.name.encode()
        case FieldDescriptor.TYPE_BOOL:
            return True
        case FieldDescriptor.TYPE_DOUBLE:
            return float(BIG + field.number)
        case _:
            return field.number


# --- JSON by the rules of the contract ----------------------------------------------------------------------
def as_json(message: Message) -> Any:
    """snake_case, lower-case words, numbers as numbers, zeros and empty lists written out."""
    if isinstance(message, (struct_pb2.Value, duration_pb2.Duration)):
        return MessageToDict(message)
    fields = message.DESCRIPTOR.fields
    shown = [field for field in fields if not field.has_presence or message.HasField(field.name)]
    return {field.name: _value(field, getattr(message, field.name)) for field in shown}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {key: value[key] for key in sorted(value)}
    if field.is_repeated:
        return [_item(field, item) for item in value]
    return _item(field, value)


def _item(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return as_json(value)
    if field.enum_type is not None:
        return {0: "unspecified", **dict(_words(field))}[value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _words(field: FieldDescriptor) -> Iterator[tuple[int, str]]:
    numbers = [value.number for value in field.enum_type.values if value.number]
    yield from zip(numbers, enum_words(field.enum_type), strict=True)


def error_json(error: ServiceError) -> dict[str, Any]:
    """What a client is told, with its details as google.rpc defines them."""
    metadata = dict(to_status(error).trailing_metadata)
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    details = []
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])()
        packed.Unpack(kind)
        details.append({"@type": packed.type_url, **as_json(kind)})
    return {"code": status.code, "message": status.message, "details": details}


# --- Against a real answer ----------------------------------------------------------------------------------
def golden_answer(verb: str, path: str) -> Any:
    """The full answer to a REST call; the path may have a query."""
    bare = path.partition("?")[0]
    forms = [(len(b.variables), r) for r in rpcs() for b in r.bindings if _fits(b, verb, bare)]
    _, rpc = min(forms, key=lambda form: form[0])  # a name goes before a variable
    return json.loads((FOLDER / rpc.upstream / f"{rpc.name}.json").read_text())["full"]


def _fits(binding: Binding, verb: str, path: str) -> bool:
    return binding.verb == verb and re.fullmatch(binding.regex, path) is not None


def differences(real: Any, golden: Any, at: str = "$") -> list[str]:
    """Where a real answer has a name that the golden one lacks, or a value of another type."""
    if golden == ANY_JSON:
        return []
    if isinstance(golden, Mapping) and isinstance(real, Mapping):
        known = {name: golden.get(name, golden.get(ANY_KEY)) for name in real}
        unknown = [f"{at}.{name} is not in the golden JSON" for name, value in known.items() if value is None]
        return unknown + [
            fault
            for name, value in known.items()
            if value is not None
            for fault in differences(real[name], value, f"{at}.{name}")
        ]
    if isinstance(golden, list) and isinstance(real, list):
        return [f for i, item in enumerate(real) for f in differences(item, golden[0], f"{at}[{i}]")]
    same = type(real) is type(golden) or {type(real), type(golden)} == {int, float}
    return [] if same else [f"{at} is {real!r}, and in the golden JSON {golden!r}"]


def write() -> None:
    """Write all golden files and remove those that are of nothing."""
    files = golden_files()
    for stale in set(FOLDER.rglob("*.json")) - files.keys():
        stale.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
