"""The doubles of the simulation have all that their ports have: who changes a port is told here."""

from __future__ import annotations

import pytest

from contract.deploy.memory import MemoryDeploymentStore
from contract.gpu.memory import MemoryStore
from contract.training.memory import MemoryJobStore
from simulation.adapters import Heartbeats, Inventory, Processes, Runs, Servers
from swiftletd.deploy import ports as deploy
from swiftletd.gpu import ports as gpu
from swiftletd.training import ports as training

PAIRS = [
    (training.JobStore, MemoryJobStore),
    (training.OpenJobs, MemoryJobStore),
    (deploy.DeploymentStore, MemoryDeploymentStore),
    (deploy.Prober, Servers),
    (deploy.Models, Servers),
    (deploy.Routes, Servers),
    (gpu.Store, MemoryStore),
    (gpu.Heartbeats, Heartbeats),
    (gpu.Inventory, Inventory),
    (gpu.Processes, Processes),
]
# What only reads logs is no part of a story.
LOGS = {"count_lines", "last_lines", "line_offset", "log_path", "read_log", "tail"}


@pytest.mark.parametrize(("port", "double"), [*PAIRS, (training.Runs, Runs), (deploy.Servers, Servers)])
def test_a_double_has_what_its_port_has(port, double):
    wanted = {name for name in dir(port) if not name.startswith("_")} - LOGS
    assert wanted <= set(dir(double))
