"""What a Prometheus server reads."""

from __future__ import annotations

from google.api.httpbody_pb2 import HttpBody
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def metrics() -> HttpBody:
    """All metrics of this process."""
    return HttpBody(content_type=CONTENT_TYPE_LATEST, data=generate_latest())
