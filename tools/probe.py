"""Exit 0 if a service says that it is SERVING, 1 otherwise. The health check of the containers.

usage: tools/probe.py gpu|training|deploy
"""

from __future__ import annotations

import argparse
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swiftletd.kernel.settings import SuiteSettings, load


def is_serving(address: str, timeout: float) -> bool:
    """Ask the service at `address` (a gRPC target) for its health, for at most `timeout` seconds."""
    with grpc.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # missing from the types
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=timeout)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a service for its health.")
    parser.add_argument("service", choices=["gpu", "training", "deploy"])
    service = parser.parse_args().service
    sys.exit(not is_serving(load(SuiteSettings).address(service), timeout=3))


if __name__ == "__main__":
    main()
