"""What reflection tells: all services of the suite, whichever of them is asked.

The gateway has one port for three services and can ask only one of them, so each knows the protos of all.
"""

from __future__ import annotations

from swiftlet.deploy.v1 import deploy_service_pb2
from swiftlet.gpu.v1 import gpu_service_pb2
from swiftlet.training.v1 import training_service_pb2

SERVICES = tuple(
    service.full_name
    for file in (deploy_service_pb2, gpu_service_pb2, training_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
