"""What the protos say about REST: which call is which RPC, and how it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

from swiftlet.deploy.v1 import deploy_service_pb2
from swiftlet.gpu.v1 import gpu_service_pb2
from swiftlet.training.v1 import training_service_pb2

API_PREFIX = "/api/v1"  # as the protos write it
EMPTY = "google.protobuf.Empty"
HTTP_BODY = "google.api.HttpBody"
VARIABLE = re.compile(r"\{(?P<field>[\w.]+)(?:=(?P<pattern>[^}]*))?\}")

SERVICES: tuple[ServiceDescriptor, ...] = (
    training_service_pb2.DESCRIPTOR.services_by_name["TrainingService"],
    gpu_service_pb2.DESCRIPTOR.services_by_name["GpuService"],
    deploy_service_pb2.DESCRIPTOR.services_by_name["DeployService"],
)


@dataclass(frozen=True, slots=True)
class Binding:
    """One REST form of an RPC: verb, path template as in the proto, and whether its fields are in a body."""

    verb: str
    template: str
    body: bool

    @property
    def path(self) -> str:
        """The path for people and OpenAPI: a variable of one value is written out."""
        return VARIABLE.sub(lambda found: found["pattern"] or f"{{{found['field']}}}", self.template)

    @property
    def regex(self) -> str:
        """RE2 for the paths that this form has, one closing slash included."""
        parts = re.split(r"(\{\w+\})", self.path)
        return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts) + "/?"

    @property
    def variables(self) -> tuple[str, ...]:
        """Fields that the path gives."""
        return tuple(found["field"] for found in VARIABLE.finditer(self.template))

    def under(self, prefix: str) -> Binding:
        """The same with another API prefix."""
        return replace(self, template=with_prefix(self.template, prefix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """An RPC with its REST forms. `upstream` is "gpu", "training" or "deploy"."""

    service: str
    name: str
    upstream: str
    request: Descriptor
    response: Descriptor
    streaming: bool
    bindings: tuple[Binding, ...]

    @property
    def path(self) -> str:
        """As gRPC names it: "/package.Service/Method"."""
        return f"/{self.service}/{self.name}"

    @property
    def success(self) -> int:
        """HTTP status of an answer that is not an error."""
        if self.response.full_name == EMPTY:
            return 204
        return 201 if self.name.startswith("Create") else 200

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing, so that it may be repeated."""
        return all(binding.verb == "GET" for binding in self.bindings)


def rpcs(prefix: str = API_PREFIX) -> tuple[Rpc, ...]:
    """All RPCs of the suite, with the REST paths under `prefix`."""
    return tuple(_rpc(method, prefix) for service in SERVICES for method in service.methods)


def _rpc(method: MethodDescriptor, prefix: str) -> Rpc:
    service = method.containing_service
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return Rpc(
        service=service.full_name,
        name=method.name,
        upstream=upstream(service),
        request=method.input_type,
        response=method.output_type,
        streaming=method.server_streaming,
        bindings=tuple(_binding(form).under(prefix) for form in (rule, *rule.additional_bindings)),
    )


def _binding(rule: http_pb2.HttpRule) -> Binding:
    verb = rule.WhichOneof("pattern")
    if verb is None or verb == "custom" or rule.body not in {"", "*"}:
        raise ValueError(f"unsupported google.api.http rule: {rule}")
    return Binding(verb.upper(), getattr(rule, verb), rule.body == "*")


def upstream(service: ServiceDescriptor) -> str:
    """Which process serves it: the second word of the package swiftlet.<word>.v1."""
    return str(service.file.package).split(".")[1]


def with_prefix(path: str, prefix: str) -> str:
    """`path` of the protos, under another API prefix; paths outside of the API stay."""
    return prefix + path.removeprefix(API_PREFIX) if path.startswith(API_PREFIX + "/") else path
