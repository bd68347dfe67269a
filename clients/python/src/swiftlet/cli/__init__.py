"""The command `swiftlet`."""

from swiftlet.cli.main import cli, main

__all__ = ["cli", "main"]
