"""Fail where a function or a file is too long to be read in one go.

A function counts from its first line to its last, without its docstring. Generated stubs are not ours.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("services", "gateway", "clients", "tests", "tools", "examples", "benchmarks")
FILE_LINES = 400
FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.name.endswith(("_pb2.py", "_pb2_grpc.py")):
                yield path


def length(function: Function) -> int:
    """Lines of a function without its docstring."""
    last = function.end_lineno or function.lineno
    first = function.body[0]
    docstring = ast.get_docstring(function, clean=False) is not None
    return last - function.lineno + 1 - (((first.end_lineno or 0) - first.lineno + 1) if docstring else 0)


def complaints(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    if (lines := len(text.splitlines())) > FILE_LINES:
        yield f"{name}: {lines} lines, at most {FILE_LINES}"
    for node in ast.walk(ast.parse(text, str(name))):
        if isinstance(node, Function) and (lines := length(node)) > FUNCTION_LINES:
            yield f"{name}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}"


def main() -> None:
    found = [complaint for path in sources() for complaint in complaints(path)]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
