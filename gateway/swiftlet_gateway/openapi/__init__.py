"""The OpenAPI document: generated from the protos, committed, served with the prefix of the suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swiftlet_gateway.rpcs import with_prefix

COMMITTED = Path(__file__).with_name("openapi.json")


def document_under(prefix: str, version: str) -> dict[str, Any]:
    """The committed document for a suite of this version, with the API under `prefix`."""
    document: dict[str, Any] = json.loads(COMMITTED.read_text())
    document["info"]["version"] = version
    document["paths"] = {with_prefix(path, prefix): item for path, item in document["paths"].items()}
    return document
