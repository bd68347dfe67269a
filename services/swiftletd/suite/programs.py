"""What a suite consists of, and what each part finds in its environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from swiftletd.suite import broker
from swiftletd.suite.gateway import envoy
from swiftletd.suite.home import Home
from swiftletd.suite.plan import Plan, Program, Readiness
from swiftletd.suite.settings import SERVICES, UpSettings

SERVICE_GRACE = 15.0  # seconds, more than DRAIN_SECONDS


def plan(settings: UpSettings) -> Plan:
    """All programs of the suite, in the order in which they start. Writes the gateway's configuration."""
    home = Home(settings.home)
    redis = _redis(settings, home)
    services = [_service(name, settings, after=tuple(program.name for program in redis)) for name in SERVICES]
    return Plan(
        home=str(home.path),
        logs=str(settings.logs),
        address=f"http://{settings.authority}",
        programs=(*redis, *services, envoy(settings, home)),
    )


def environment(settings: UpSettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """What the programs of the suite find in their environment: ours, the env file, where everything is."""
    file = Path("env") / f".env.{settings.environment}"
    defaults = {name: value for name, value in dotenv_values(file).items() if value is not None}
    trainer = settings.trainer()
    places = {
        "SWIFTLET_HOME": str(settings.home),
        "WORK_DIR": str(settings.work_dir.absolute()),
        "LOG_DIR": str(settings.logs),
        "LOG_LEVEL": settings.log_level,
        "REDIS_URL": settings.redis(),
        "PYTHONUNBUFFERED": "1",
    }
    for name in SERVICES:
        places[f"{name.upper()}_LISTEN"] = settings.listen(name)
        places[f"{name.upper()}_ADDRESS"] = settings.address(name)
    if trainer:
        places["TRAINER_PYTHON"] = str(trainer)
    return {**defaults, **inherited, **places}


def _redis(settings: UpSettings, home: Home) -> list[Program]:
    if broker.is_external(settings):
        return []
    return [broker.program(home, broker.server_binary(), settings.redis_db, settings.redis_maxmemory)]


def _service(name: str, settings: UpSettings, after: tuple[str, ...]) -> Program:
    return Program(
        name=name,
        # -P: a file redis.py in somebody's work directory must not be imported instead of the library.
        argv=(sys.executable, "-P", "-m", "swiftletd", name),
        ready=Readiness(kind="grpc", address=settings.address(name)),
        after=after,
        grace=settings.drain_seconds + SERVICE_GRACE,
    )
