"""What the protos say in their comments, by the full name of what they stand above."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2 as d
from google.rpc import status_pb2

# Field numbers of descriptor.proto: how a location names what it belongs to.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
MEMBERS = 2  # fields of a message, values of an enum, methods of a service

Owner = d.DescriptorProto | d.EnumDescriptorProto | d.ServiceDescriptorProto
Member = d.FieldDescriptorProto | d.EnumValueDescriptorProto | d.MethodDescriptorProto


def comments(protos: Path) -> dict[str, str]:
    """Comments of all protos under `protos`, line breaks within a paragraph joined."""
    found: dict[str, str] = {}
    for file in _compile(protos):
        for location in file.source_code_info.location:
            name = _name(file, list(location.path))
            if name and location.leading_comments:
                found[name] = _text(location.leading_comments)
    return found


def _compile(protos: Path) -> Iterator[d.FileDescriptorProto]:
    from grpc_tools import protoc

    names = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    google = Path(status_pb2.__file__).parents[2]
    includes = [f"-I{folder}" for folder in (protos, google, Path(grpc_tools.__file__).parent / "_proto")]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "protos.binpb")
        arguments = ["protoc", *includes, "--include_source_info", f"--descriptor_set_out={out}", *names]
        if protoc.main(arguments):
            raise ValueError(f"protoc refuses the protos in {protos}")
        yield from d.FileDescriptorSet.FromString(out.read_bytes()).file


def _name(file: d.FileDescriptorProto, path: list[int]) -> str:
    """Full name of what a location stands for; empty for what has none, as a package statement."""
    match path:
        case [kind, top] if kind in {MESSAGES, ENUMS, SERVICES}:
            return f"{file.package}.{_top(file, kind)[top].name}"
        case [kind, top, sub, inner] if kind in {MESSAGES, ENUMS, SERVICES} and sub == MEMBERS:
            owner = _top(file, kind)[top]
            return f"{file.package}.{owner.name}.{_members(owner)[inner].name}"
        case _:
            return ""


def _top(file: d.FileDescriptorProto, kind: int) -> Sequence[Owner]:
    if kind == MESSAGES:
        return file.message_type
    return file.enum_type if kind == ENUMS else file.service


def _members(owner: Owner) -> Sequence[Member]:
    match owner:
        case d.DescriptorProto():
            return owner.field
        case d.EnumDescriptorProto():
            return owner.value
        case _:
            return owner.method


def _text(comment: str) -> str:
    paragraphs = comment.strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in part.splitlines()) for part in paragraphs)
