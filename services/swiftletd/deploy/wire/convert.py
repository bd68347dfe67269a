"""Between the domain's records and the messages of swiftlet.deploy.v1."""

from __future__ import annotations

import re

from swiftlet.deploy.v1 import deploy_service_pb2 as rpc_pb
from swiftlet.deploy.v1 import deployment_pb2 as pb
from swiftletd.deploy.domain.deployment import Deployment, Resources, State
from swiftletd.deploy.ports import Line
from swiftletd.kernel.errors import InvalidArgument, Unsupported, Violation
from swiftletd.kernel.ids import ID_RULE, is_id, new_id, rfc3339

MAX_PATH = 4096
MAX_GPUS = 1024
_STATUS = {state: pb.DeployStatus.Value(f"DEPLOY_STATUS_{state.name}") for state in State}
_STATES = {number: state for state, number in _STATUS.items()}
_TYPES = {pb.DEPLOY_TYPE_UNSPECIFIED: "llm", pb.DEPLOY_TYPE_LLM: "llm", pb.DEPLOY_TYPE_MLLM: "mllm"}
_TYPE_NUMBERS = {"llm": pb.DEPLOY_TYPE_LLM, "mllm": pb.DEPLOY_TYPE_MLLM}
_SIZE = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def status(state: State) -> pb.DeployStatus.ValueType:
    """The status of the contract."""
    return _STATUS[state]


def state_word(number: pb.DeployStatus.ValueType) -> str:
    """The state to filter by; "" for any."""
    return _STATES[number].value if number in _STATES else ""


def to_new_deployment(request: rpc_pb.CreateDeploymentRequest, now: float) -> Deployment:
    """The deployment that a create request describes. Raises InvalidArgument, Unsupported."""
    if request.deploy_target in (pb.DEPLOY_TARGET_K8S, pb.DEPLOY_TARGET_CLOUD):
        target = pb.DeployTarget.Name(request.deploy_target).removeprefix("DEPLOY_TARGET_").lower()
        raise Unsupported(
            f"This version serves on its own machines only, not on {target}. Use deploy_target local.",
            metadata={"field": "deploy_target", "value": target},
        )
    if faults := _faults(request):
        raise InvalidArgument(faults)
    key = request.job_id or new_id("deploy")
    need = request.resources
    return Deployment(
        id=key,
        model_path=request.model_path,
        served_path="",
        served_model_name=request.served_model_name or key,
        deploy_type=_TYPES[request.deploy_type],
        created_at=now,
        version_label=request.version,
        resources=Resources(
            memory=need.memory,
            gpu_memory=need.gpu_memory,
            gpu_memory_mib=-(-_bytes(need.gpu_memory) // 2**20),
            gpus=gpus_of(need),
        ),
        port=request.port,
        priority=request.priority,
    )


def _faults(request: rpc_pb.CreateDeploymentRequest) -> list[Violation]:
    need = request.resources
    rules = [
        (
            "model_path",
            bool(request.model_path.strip()),
            "is required: a directory, a hub id or a training job's id.",
        ),
        ("model_path", len(request.model_path) <= MAX_PATH, f"is longer than {MAX_PATH} characters."),
        ("model_path", "\0" not in request.model_path, "must not contain a zero byte."),
        ("deploy_type", request.deploy_type in _TYPES, "must be llm or mllm."),
        ("deploy_target", request.deploy_target in pb.DeployTarget.values(), "must be local, k8s or cloud."),
        ("job_id", not request.job_id or is_id(request.job_id), f"{ID_RULE}."),
        ("version", len(request.version) <= 128, "is longer than 128 characters."),
        ("served_model_name", len(request.served_model_name) <= 128, "is longer than 128 characters."),
        ("resources.memory", _SIZE.fullmatch(need.memory or "0"), "must be a size like 8GB."),
        ("resources.gpu_memory", _SIZE.fullmatch(need.gpu_memory or "0"), "must be a size like 16GB."),
        (
            "resources.gpus",
            1 <= gpus_of(need) <= MAX_GPUS,
            f"must be from 1 to {MAX_GPUS}, got {need.gpus}.",
        ),
        *port_rules(request),
        *priority_rules(request.priority),
    ]
    return [Violation(field, message) for field, ok, message in rules if not ok]


def gpus_of(need: pb.DeployResources) -> int:
    """How many GPUs are asked for; one where that isn't said."""
    return need.gpus if need.HasField("gpus") else 1


def port_rules(
    request: rpc_pb.CreateDeploymentRequest | rpc_pb.AddToDeployQueueRequest,
) -> list[tuple[str, bool, str]]:
    """What a port must be, where one is given."""
    ok = not request.HasField("port") or 1024 <= request.port <= 65535
    return [("port", ok, f"must be from 1024 to 65535, got {request.port}; leave it out to get one.")]


def priority_rules(priority: int) -> list[tuple[str, bool, str]]:
    """What a priority must be."""
    return [("priority", 0 <= priority <= 10, f"must be from 0 to 10, got {priority}.")]


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text or "0")
    if not found:
        return 0
    number, unit, binary = found.groups()
    return round(float(number) * (_BINARY_FACTORS if binary else _FACTORS)[unit.upper()])


def to_deployment(it: Deployment, log_path: str) -> pb.Deployment:
    """The message for a deployment."""
    return pb.Deployment(
        job_id=it.id,
        status=status(it.state),
        deploy_port=0 if it.over else it.port,
        created_at=rfc3339(it.created_at),
        started_at=rfc3339(it.started_at),
        completed_at=rfc3339(it.completed_at),
        process_id=it.process_id,
        deploy_type=_TYPE_NUMBERS[it.deploy_type],
        deploy_target=pb.DEPLOY_TARGET_LOCAL,
        model_path=it.model_path,
        served_path=it.served_path,
        served_model_name=it.served_model_name,
        version=it.version_label,
        resources=pb.DeployResources(
            memory=it.resources.memory, gpu_memory=it.resources.gpu_memory, gpus=it.resources.gpus
        ),
        priority=it.priority,
        gpu_id=it.attempt.lease.gpu_ids if it.attempt and it.alive else "",
        error_message=it.error_message,
        failure_reason=it.failure_reason,
        url=f"/serve/{it.id}/v1",
        queue_position=it.queue_position,
        last_seen_at=rfc3339(it.last_seen_at),
        log_file_path=log_path,
    )


def to_line(key: str, line: Line) -> pb.DeployLogLine:
    """The message for a line of a log."""
    head = line.text[:200].upper()
    grave = "ERROR" if "ERROR" in head or "TRACEBACK" in head else "WARNING" if "WARN" in head else "INFO"
    return pb.DeployLogLine(
        timestamp=line.time, level=grave, message=line.text, job_id=key, offset=line.offset
    )
