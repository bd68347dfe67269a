"""What the scripts know of the protos: which query parameters a call takes, which words an enum has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import Descriptor, EnumDescriptor

from swiftlet_gateway.descriptor import enum_words, words_name
from swiftlet_gateway.rpcs import Rpc, rpcs

TYPES = {
    "TYPE_INT32": "must be an integer from -2147483648 to 2147483647",
    "TYPE_DOUBLE": "must be a number",
    "TYPE_BOOL": "must be true or false",
}


def lua_hints(cors_origins: Iterable[str]) -> str:
    """Lua tables: ALLOWED_ORIGINS, PARAMETERS by request type, VALUES by type of a field."""
    reads = [rpc for rpc in rpcs() if any(not binding.body for binding in rpc.bindings)]
    parameters = {rpc.request.full_name: _takes(rpc) for rpc in reads}
    values = TYPES | {words_name(enum): _words(enum) for rpc in reads for enum in _enums(rpc.request)}
    allowed = dict.fromkeys(cors_origins, "1")
    return "\n".join(
        [_table("ALLOWED_ORIGINS", allowed), _table("PARAMETERS", parameters), _table("VALUES", values)]
    )


def _takes(rpc: Rpc) -> str:
    in_path = {
        name for binding in rpc.bindings for name in binding.variables if f"{{{name}}}" in binding.path
    }
    names = [field.name for field in rpc.request.fields if field.name not in in_path]
    return f"this call takes {', '.join(names)}" if names else "this call takes none"


def _enums(message: Descriptor) -> list[EnumDescriptor]:
    return [field.enum_type for field in message.fields if field.enum_type is not None]


def _words(enum: EnumDescriptor) -> str:
    return f"must be one of {', '.join(enum_words(enum))}"


def _table(name: str, content: Mapping[str, str]) -> str:
    # A JSON string without control characters is a Lua string too.
    rows = (f"  [{json.dumps(key)}] = {json.dumps(value)}," for key, value in content.items())
    return "\n".join([f"local {name} = {{", *rows, "}"])
