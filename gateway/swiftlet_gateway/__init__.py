"""Builds the configuration of the Envoy gateway from the protos."""

from __future__ import annotations

from swiftlet_gateway.config import Paths, command, write_config
from swiftlet_gateway.options import Options

__all__ = ["Options", "Paths", "command", "write_config"]
