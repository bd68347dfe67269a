"""JSON schemas of the messages, with the limits that their comments state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from swiftlet_gateway.descriptor import enum_words
from swiftlet_gateway.openapi.limits import count_limits, limits

REQUIRED = re.compile(r" ?\bRequired\.$")
TYPES: Mapping[int, dict[str, Any]] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer", "format": "int64"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
ANY_JSON = "google.protobuf.Value"


class Schemas:
    """Builds the schema of each message once. `comments` are by full name.

    Add the bodies of requests first: a message of both, as TrainingParams, has the rules of a request.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._owners: dict[str, str] = {}
        self.components: dict[str, dict[str, Any]] = {}

    def add(self, message: Descriptor, *, body: bool, in_path: Iterable[str] = ()) -> dict[str, str]:
        """A reference to the schema of a message. A body lacks what is in the path and takes nothing else."""
        name, left_out = message.name, set(in_path)
        if self._is_new(name, message.full_name):
            fields = [field for field in message.fields if field.name not in left_out]
            self.components[name] = {
                "type": "object",
                "description": self.comment(message.full_name),
                "properties": {field.name: self._property(field, body=body) for field in fields},
                "required": [field.name for field in fields if self._must_be(field, body=body)],
                **({"additionalProperties": False} if body else {}),
            }
        return reference(name)

    def _must_be(self, field: FieldDescriptor, *, body: bool) -> bool:
        # An answer has all that can't be absent, zeros and empty lists included.
        return self.is_required(field) if body else not field.has_presence

    def comment(self, full_name: str) -> str:
        """What stands above it in the proto."""
        return self._comments.get(full_name, "")

    def description(self, field: FieldDescriptor) -> str:
        """A field's comment for people: that it is required is said elsewhere."""
        return REQUIRED.sub("", self.comment(field.full_name))

    def is_required(self, field: FieldDescriptor) -> bool:
        """Whether a request is refused without it."""
        return REQUIRED.search(self.comment(field.full_name)) is not None

    def parameter(self, field: FieldDescriptor) -> dict[str, Any]:
        """Schema of a field in a path or query. An enum is without the word for "not given"."""
        if field.enum_type is not None:
            return {"type": "string", "enum": enum_words(field.enum_type)}
        return self._scalar(field)

    def _is_new(self, name: str, full_name: str) -> bool:
        owner = self._owners.setdefault(name, full_name)
        if owner != full_name:
            raise ValueError(f"{owner} and {full_name} would have the same schema name; rename one")
        return name not in self.components

    def _property(self, field: FieldDescriptor, *, body: bool) -> dict[str, Any]:
        about = {"description": self.description(field)}
        count = count_limits(self.comment(field.full_name))
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            value = self._value(kind.fields_by_name["value"], body=body)
            return {"type": "object", "additionalProperties": value, **count, **about}
        if field.is_repeated:
            return {"type": "array", "items": self._value(field, body=body), **count, **about}
        return {**self._value(field, body=body), **about}

    def _value(self, field: FieldDescriptor, *, body: bool) -> dict[str, Any]:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.message_type is None:
            return self._scalar(field)
        return {} if field.message_type.full_name == ANY_JSON else self.add(field.message_type, body=body)

    def _enum(self, enum: EnumDescriptor) -> dict[str, str]:
        if self._is_new(enum.name, enum.full_name):
            words = ["unspecified", *enum_words(enum)]
            numbers = [0, *(value.number for value in enum.values if value.number)]
            lines = [
                f"- `{word}`: {self.comment(f'{enum.full_name}.{enum.values_by_number[number].name}')}"
                for word, number in zip(words, numbers, strict=True)
            ]
            about = "\n".join([self.comment(enum.full_name), "", *lines])
            self.components[enum.name] = {"type": "string", "enum": words, "description": about}
        return reference(enum.name)

    def _scalar(self, field: FieldDescriptor) -> dict[str, Any]:
        return {**TYPES[field.cpp_type], **limits(field, self.comment(field.full_name))}


def reference(name: str) -> dict[str, str]:
    """A JSON reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}
