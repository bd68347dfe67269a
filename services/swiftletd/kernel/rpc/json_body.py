"""Strict JSON bodies: what is wrong in a body is refused by name, and never quietly dropped.

Envoy's transcoder ignores unknown fields, takes trailing commas and knows no paths for its complaints. So
the gateway hands over the body of a REST call as it came, in a field that no message of ours has (RAW_FIELD,
a google.api.HttpBody). Here it is parsed, checked and merged into what the path has bound. A native gRPC
request has no such field and passes untouched.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from google.api import annotations_pb2
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from swiftletd.kernel.errors import InvalidArgument, MalformedJson, Violation
from swiftletd.kernel.rpc.json_message import Repeated, as_sent, fill

RAW_FIELD = 536_870_911  # the largest field number there is; the gateway's descriptor has the same


def takes_body(method: str) -> bool:
    """Whether the REST form of "/package.Service/Method" has its fields in a body."""
    try:
        found = descriptor_pool.Default().FindMethodByName(method.lstrip("/").replace("/", "."))
    except KeyError:
        return False
    return bool(found.GetOptions().Extensions[annotations_pb2.http].body == "*")


def refuse_query(path: str) -> None:
    """Raise InvalidArgument where a call that has a body also has query parameters."""
    query = path.partition("?")[2]
    if query:
        name = query.partition("=")[0].partition("&")[0][:64]
        message = "is not a query parameter of this call; put it into the JSON body"
        raise InvalidArgument([Violation(name or "query", message)])


def merge_json_body(request: Message) -> None:
    """Check the raw body of a REST call and merge it into `request`; nothing happens where there is none.

    Raises MalformedJson for what isn't a JSON object, InvalidArgument with one violation for each field at
    fault (at most 10) for unknown and repeated fields, wrong types, and what contradicts the path.
    """
    data = _take_raw(request)
    if not data:
        return
    body = parse_object(data)
    bound = request.ListFields()
    wrong = fill(request, body, in_path={field.name for field, _ in bound})
    wrong += [
        Violation(field.name, f"the path says {as_sent(field, value)!r}; leave it out of the body")
        for field, value in bound
        if getattr(request, field.name) != value
    ]
    if wrong:
        raise InvalidArgument(wrong)


def _take_raw(request: Message) -> bytes:
    unknown: Any = UnknownFieldSet(request)  # the type stubs don't know that it is a sequence
    raw = [field.data for field in unknown if field.field_number == RAW_FIELD]
    if raw:
        request.DiscardUnknownFields()
    return b"".join(HttpBody.FromString(data).data for data in raw)


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; one with a key twice comes back as Repeated. Raises MalformedJson."""
    try:
        body = _DECODER.decode(data.decode())
    except json.JSONDecodeError as error:
        text = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise MalformedJson(text, error.lineno, error.colno) from None
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not UTF-8: byte {error.start} can't be read.") from None
    except RecursionError:
        raise MalformedJson("The body is nested too deeply.") from None
    except ValueError as error:
        raise MalformedJson(f"The body is not usable JSON: {error}.") from None
    if not isinstance(body, dict):
        raise MalformedJson('The body must be a JSON object, like {"name": "value"}.', 1, 1)
    return body


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_a_number)
