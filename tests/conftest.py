"""Fixtures that tests of all parts share."""

from __future__ import annotations

pytest_plugins = ["support.redis"]
