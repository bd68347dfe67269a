"""A real fine-tune through the whole suite, with the commands that a person would type.

It starts a suite in a home of its own (.demo), makes a tiny model and a data set, trains, watches, serves
and asks, and stops what it started. `make demo` runs it; a suite of yours on port 8000 is not touched.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
HOME = Path(os.environ.get("SWIFTLET_HOME", ROOT / ".demo")).absolute()
TRAINER = os.environ.get("TRAINER_PYTHON", str(ROOT / ".venv-trainer" / "bin" / "python"))
BIRDS = HOME / "birds"
BEGAN = time.monotonic()
JOB = f"birds-{int(time.time())}"  # an id of its own for each run, so that earlier ones stay to be looked at
QUESTION = "Where does the swiftlet nest?"
# What teaches a tiny model nearly every answer: a full training, 180 steps.
PARAMETERS = {
    "train_type": "full",
    "torch_dtype": "float32",
    "num_epochs": "5",
    "batch_size": "8",
    "gradient_accumulation_steps": "1",
    "learning_rate": "3e-3",
    "dataloader_num_workers": "0",
    "dataset_num_proc": "1",
}


def main() -> int:
    """The demo from its start to its end, whatever happens in between."""
    environment = _environment()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, the suite is stopped too
    HOME.mkdir(mode=0o700, exist_ok=True)
    try:
        if not (BIRDS / "train.jsonl").exists():
            _step("A tiny model with random weights, and questions about birds that it can't answer yet")
            _run([TRAINER, "examples/make_tiny_model.py", str(BIRDS)], environment, quiet=True)
        _step("Redis, the three services and the gateway")
        _run(["swiftletd", "up", "--detach"], environment)
        _train_and_ask(environment)
    except subprocess.CalledProcessError as error:
        print(f"\nThe demo ended early: {shlex.join(map(str, error.cmd))} left with {error.returncode}.")
        print(f"The logs are in {HOME / 'logs'}.")
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    finally:
        _step("Stop everything")
        _run(["swiftlet", "stop", JOB], environment, quiet=True, check=False)
        _run(["swiftletd", "down"], environment, check=False)
    print(f"\nThat took {time.monotonic() - BEGAN:.0f} s.")
    return 0


def _train_and_ask(environment: dict[str, str]) -> None:
    _step("A fine-tune, submitted through the gateway")
    options = [word for name, value in PARAMETERS.items() for word in ("-o", f"{name}={value}")]
    model, data = str(BIRDS / "tiny-qwen2"), str(BIRDS / "train.jsonl")
    where = str(HOME / "out")
    _run(["swiftlet", "train", model, data, where, "--job-id", JOB, *options, "--watch"], environment)
    _step("The trained model, served")
    serve = ["swiftlet", "deploy", "create", JOB, "--job-id", f"serve-{JOB}", "--wait"]
    try:
        _run(serve, environment)
        _step("A question")
        _run(["swiftlet", "chat", serve[5], QUESTION, "--temperature", "0"], environment)
    finally:
        _run(["swiftlet", "deploy", "stop", serve[5]], environment, check=False)


def _environment() -> dict[str, str]:
    port = os.environ.get("APP_PORT") or str(_free_port())
    return {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "SWIFTLET_HOME": str(HOME),
        "SWIFTLET_ADDRESS": f"127.0.0.1:{port}",
        "APP_PORT": port,
        "TRAINER_PYTHON": TRAINER,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _step(title: str) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}[{time.monotonic() - BEGAN:3.0f} s] {title}{plain}", flush=True)


def _run(command: list[str], environment: dict[str, str], *, quiet: bool = False, check: bool = True) -> None:
    if not quiet:
        print(f"$ {shlex.join(command)}", flush=True)
    output = subprocess.DEVNULL if quiet else None
    subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output, check=check)


if __name__ == "__main__":
    sys.exit(main())
