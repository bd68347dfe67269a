"""The descriptor set for Envoy's transcoder: our protos as they are, but for what JSON looks like.

- Enum values become short lower-case words. Upper-case aliases make every spelling readable, since Envoy
  upper-cases its input before the look-up (case_insensitive_enum_parsing); it prints the first name.
- A `body: "*"` becomes a raw google.api.HttpBody in a field of its own, which the service parses strictly:
  Envoy's parser drops unknown fields without a word.
- The API prefix is the one of this suite.

Numbers on the wire are unchanged, so services and native clients know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from google.api import annotations_pb2, http_pb2, httpbody_pb2
from google.protobuf import descriptor_pb2 as d
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import EnumDescriptor, FileDescriptor
from google.rpc import error_details_pb2, status_pb2

from swiftlet_gateway.rpcs import API_PREFIX, SERVICES, with_prefix

RAW_FIELD = 536_870_911  # the largest field number there is; the services look for the body there
RAW_NAME = "json_body"
OURS = "swiftlet."
UNSPECIFIED = "UNSPECIFIED"
HOLDER = "Words"  # the message around an enum X is XWords


def envoy_descriptor(prefix: str = API_PREFIX) -> bytes:
    """The serialized FileDescriptorSet. Raises TypeError where the result is no valid set of protos."""
    # error_details: without them Envoy answers an error that has details with an empty body.
    roots = [service.file for service in SERVICES]
    roots += [error_details_pb2.DESCRIPTOR, status_pb2.DESCRIPTOR, httpbody_pb2.DESCRIPTOR]
    files = {file.name: _proto(file) for root in roots for file in _with_imports(root)}
    ours = [file for file in files.values() if file.package.startswith(OURS)]
    moved = {old: new for file in ours for old, new in _rename_enums(file)}
    for file in ours:
        _point_at(file.message_type, moved)
    _bind_raw_bodies(ours, prefix)
    _prove(files)
    return d.FileDescriptorSet(file=files.values()).SerializeToString(deterministic=True)


def enum_words(enum: EnumDescriptor) -> list[str]:
    """The words of an enum in JSON, without the one for "not given"."""
    start = len(enum.values[0].name.removesuffix(UNSPECIFIED))
    return [value.name[start:].lower() for value in enum.values if value.number]


def words_name(enum: EnumDescriptor) -> str:
    """Full name of an enum in the descriptor set, as Envoy's complaints have it."""
    package, _, name = str(enum.full_name).rpartition(".")
    return f"{package}.{name}{HOLDER}.{name}"


def _with_imports(file: FileDescriptor) -> Iterator[FileDescriptor]:
    for imported in file.dependencies:
        yield from _with_imports(imported)
    yield file


def _proto(file: FileDescriptor) -> d.FileDescriptorProto:
    proto = d.FileDescriptorProto()
    file.CopyToProto(proto)
    return proto


# --- Enums --------------------------------------------------------------------------------------------------
def _rename_enums(file: d.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """Rename the values; yields the old and the new full name of each enum.

    Values live in the scope around their enum, where two enums can't both have a "pending". So each enum
    moves into a message of its own.
    """
    for enum in file.enum_type:
        _rename_values(enum)
        file.message_type.add(name=f"{enum.name}{HOLDER}").enum_type.add().CopyFrom(enum)
        yield f".{file.package}.{enum.name}", f".{file.package}.{enum.name}{HOLDER}.{enum.name}"
    del file.enum_type[:]


def _rename_values(enum: d.EnumDescriptorProto) -> None:
    start = len(enum.value[0].name.removesuffix(UNSPECIFIED))
    originals = [(value.name, value.number) for value in enum.value]
    enum.options.allow_alias = True
    for value in enum.value:
        value.name = value.name[start:].lower()
    for name, number in originals:
        enum.value.add(name=name[start:], number=number)
        enum.value.add(name=name, number=number)


def _point_at(messages: Iterable[d.DescriptorProto], moved: Mapping[str, str]) -> None:
    for message in messages:
        for field in message.field:
            if field.type_name in moved:
                field.type_name = moved[field.type_name]
        _point_at(message.nested_type, moved)


# --- Bodies -------------------------------------------------------------------------------------------------
def _bind_raw_bodies(files: Iterable[d.FileDescriptorProto], prefix: str) -> None:
    requests = {f".{file.package}.{message.name}": message for file in files for message in file.message_type}
    for file in files:
        for method in (method for service in file.service for method in service.method):
            rule = method.options.Extensions[annotations_pb2.http]
            for form in (rule, *rule.additional_bindings):
                _set_path(form, prefix)
                if form.body:
                    form.body = RAW_NAME
                    _add_raw_field(requests[method.input_type])


def _set_path(rule: http_pb2.HttpRule, prefix: str) -> None:
    verb = rule.WhichOneof("pattern")
    if verb is not None:
        setattr(rule, verb, with_prefix(getattr(rule, verb), prefix))


def _add_raw_field(message: d.DescriptorProto) -> None:
    if message.field and message.field[-1].name == RAW_NAME:
        return
    message.field.add(
        name=RAW_NAME,
        number=RAW_FIELD,
        label=d.FieldDescriptorProto.LABEL_OPTIONAL,
        type=d.FieldDescriptorProto.TYPE_MESSAGE,
        type_name=".google.api.HttpBody",
    )


def _prove(files: Mapping[str, d.FileDescriptorProto]) -> None:
    """A mistake is to be seen here and not in Envoy's log."""
    pool = descriptor_pool.DescriptorPool()
    for file in files.values():
        pool.Add(file)
    for name in files:
        pool.FindFileByName(name)
