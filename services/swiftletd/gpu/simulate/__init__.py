"""A rehearsal: the scheduler of the GPU service, driven over a trace of jobs instead of a cluster."""

from swiftletd.gpu.simulate.cli import main

__all__ = ["main"]
