"""Native gRPC, gRPC-Web, health and reflection on the same port."""

from __future__ import annotations

import base64
import struct

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from integration.gateway.double import SERVICE
from swiftlet.gpu.v1 import gpu_service_pb2, gpu_service_pb2_grpc
from swiftlet.training.v1.job_pb2 import TrainingJob
from swiftlet.training.v1.training_service_pb2 import (
    CreateTrainingJobRequest,
    GetTrainingJobRequest,
    WatchTrainingJobLogsRequest,
)
from swiftlet.training.v1.training_service_pb2_grpc import TrainingServiceStub

GET = f"/{SERVICE}/GetTrainingJob"


def test_a_native_call_and_its_errors(channel):
    stub = TrainingServiceStub(channel)
    assert stub.CreateTrainingJob(CreateTrainingJobRequest(data_path="a"), timeout=5).job_id == "made-up"
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetTrainingJob(GetTrainingJobRequest(job_id="missing"), timeout=5)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "There is no training job 'missing'. The list has those that there are."
    assert "grpc-status-details-bin" in dict(caught.value.trailing_metadata())


def test_the_clients_own_deadline_reaches_the_service(channel, training):
    TrainingServiceStub(channel).GetTrainingJob(GetTrainingJobRequest(job_id="a"), timeout=0.9)
    assert training.time_left < 0.95


def test_a_native_stream(channel, training_process):
    stream = TrainingServiceStub(channel).WatchTrainingJobLogs(WatchTrainingJobLogsRequest(job_id="a"))
    seen = []
    for message in stream:
        seen.append(message.done)
        training_process.send_next_line()
    assert seen == [False, False, False, True]


def test_what_the_gateway_says_to_a_native_client_is_a_sentence(channel, gateway):
    with pytest.raises(grpc.RpcError) as down:
        gpu_service_pb2_grpc.GpuServiceStub(channel).ListGpus(gpu_service_pb2.ListGpusRequest(), timeout=5)
    assert down.value.code() == grpc.StatusCode.UNAVAILABLE
    assert down.value.details().startswith("The service is starting, stopping or down")
    with pytest.raises(grpc.RpcError) as unknown:
        channel.unary_unary("/no.such.Service/Method")(b"", timeout=5)
    assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED
    foreign = (("grpc.default_authority", "evil.example"),)
    with (
        grpc.insecure_channel(gateway.host, options=foreign) as stranger,
        pytest.raises(grpc.RpcError) as refused,
    ):
        stranger.unary_unary(GET)(b"", timeout=5)
    assert "GATEWAY_ALLOWED_HOSTS" in refused.value.details()


def frame(message):
    data = message.SerializeToString()
    return b"\0" + struct.pack(">I", len(data)) + data


def unframed(content):
    size = struct.unpack(">I", content[1:5])[0]
    return content[5 : 5 + size], content[5 + size :]


def test_grpc_web(client):
    request = frame(GetTrainingJobRequest(job_id="web"))
    answer = client.post(GET, content=request, headers={"content-type": "application/grpc-web+proto"})
    message, trailer = unframed(answer.content)
    assert TrainingJob.FromString(message).id == "web"
    assert b"grpc-status:0" in trailer


def test_grpc_web_as_text(client):
    kind = "application/grpc-web-text"
    request = base64.b64encode(frame(GetTrainingJobRequest(job_id="web")))
    answer = client.post(GET, content=request, headers={"content-type": kind, "accept": kind})
    message, _ = unframed(base64.b64decode(answer.content))
    assert TrainingJob.FromString(message).id == "web"


def test_health_and_reflection(channel):
    request = health_pb2.HealthCheckRequest(service=SERVICE)
    assert health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status == 1
    assert SERVICE in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_json_to_the_path_of_an_rpc_is_not_a_call(client):
    assert client.post(GET, json={"job_id": "a"}).status_code == 404
    assert httpx.get(f"{client.base_url}{GET}").status_code == 404
