"""What users import, and what they don't have to."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import swiftlet
import swiftlet.aio

ROOT = Path(__file__).parents[3]

EXPORTED = [
    "AlreadyExists",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "DeployOptions",
    "DeployStatus",
    "Deployment",
    "DeploymentFailed",
    "FieldError",
    "ImpossibleRequest",
    "InternalError",
    "InvalidArgument",
    "Job",
    "JobFailed",
    "JobOptions",
    "JobStatus",
    "LimitReached",
    "NotFound",
    "Pager",
    "PathNotUsable",
    "PermissionDenied",
    "Queue",
    "ResumeTokenExpired",
    "Retry",
    "SwiftletError",
    "TrainingOptions",
    "Unavailable",
    "Unreachable",
    "Unsupported",
    "WatcherTooSlow",
    "WorkFailed",
    "WrongState",
    "to_dict",
]


def test_the_names_that_users_rely_on():
    assert swiftlet.__all__ == EXPORTED
    assert swiftlet.aio.__all__ == ["Client", "Deployment", "Job", "Pager"]
    assert all(getattr(swiftlet, name) is not None for name in EXPORTED)
    assert set(EXPORTED) <= set(dir(swiftlet))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Clinet'"):
        _ = swiftlet.Clinet


def test_every_error_is_exported_and_bears_the_public_name():
    errors = import_module("swiftlet._shared.errors")
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]

    assert {kind.__name__ for kind in kinds} <= set(EXPORTED)
    assert {kind.__module__ for kind in kinds} == {"swiftlet"}


@pytest.mark.parametrize("module", ["swiftlet", "swiftlet.training", "swiftlet.cli"])
def test_importing_it_does_not_load_grpc(module):
    code = f"import {module}, sys; sys.exit('grpc' in sys.modules or 'swiftlet._sync.client' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_sync_client_is_what_the_async_one_gives():
    command = [sys.executable, ROOT / "clients" / "python" / "make_sync.py", "--check"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Client", "Job", "Deployment", "Pager"])
def test_both_clients_have_the_same_methods_and_arguments(name):
    def surface(kind):
        return {
            method: [*inspect.signature(function).parameters]
            for method, function in inspect.getmembers(kind, inspect.isfunction)
            if not method.startswith("_")
        }

    assert surface(getattr(swiftlet, name)) == surface(getattr(swiftlet.aio, name))
