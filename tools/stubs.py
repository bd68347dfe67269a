"""Generate the Python stubs of the protos, or prove that the committed ones are what the protos give.

usage: tools/stubs.py [--check]

Only our own packages are generated: the google ones come from googleapis-common-protos.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc_tools

ROOT = Path(__file__).parents[1]
PROTOS = ROOT / "protos"
GOOGLEAPIS = ROOT / "build" / "googleapis"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
STUBS = ROOT / "clients" / "python" / "src"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def generate(out: Path) -> None:
    """Write the stubs of all protos under `out`, and an empty __init__.py in each folder below `swiftlet`."""
    protos = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto"))
    includes = [f"-I{folder}" for folder in (PROTOS, GOOGLEAPIS, WELL_KNOWN)]
    kinds = [f"--{kind}_out={out}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    # protoc looks for its plugins on the PATH; ours live beside this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    protoc = [sys.executable, "-m", "grpc_tools.protoc", *includes, *kinds, *protos]
    subprocess.run(protoc, check=True, env={**os.environ, "PATH": path})
    for folder in {out.joinpath(*Path(proto).parts[:depth]) for proto in protos for depth in (2, 3)}:
        (folder / "__init__.py").touch()


def generated(folder: Path) -> set[str]:
    """The stub files under `folder`, as paths relative to it."""
    return {path.relative_to(folder).as_posix() for glob in GENERATED for path in folder.rglob(glob)}


def replace(fresh: Path) -> None:
    for stale in generated(STUBS) - generated(fresh):
        (STUBS / stale).unlink()
    shutil.copytree(fresh, STUBS, dirs_exist_ok=True)


def differences(fresh: Path) -> list[str]:
    """The stub files that are missing, left over, or not byte for byte what the protos give."""
    names = sorted(generated(fresh) | generated(STUBS))
    same, _, _ = filecmp.cmpfiles(fresh, STUBS, names, shallow=False)
    return [name for name in names if name not in set(same)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate the Python stubs of the protos.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the stubs differ")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        generate(fresh)
        if not check:
            replace(fresh)
        elif different := differences(fresh):
            sys.exit("Not in sync with the protos; run `make protos`:\n  " + "\n  ".join(different))


if __name__ == "__main__":
    main()
