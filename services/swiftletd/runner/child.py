"""The process of one step: how it is started, and what is known of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from swiftletd.runner.lines import LineAssembler
from swiftletd.runner.log import STDERR, STDOUT
from swiftletd.runner.processes import MARK, NAME_MARK, environment, read_process

# All that a child gets of the runner's own environment; the rest comes from the spec.
INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE"),
    *("LD_LIBRARY_PATH", "SSL_CERT_FILE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)

_RANK = "LOCAL_RANK"


def child_environment(
    run: str, directory: Path, wanted: Mapping[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """What the child sees: little of ours, all of the spec, and the marks."""
    kept = {name: inherited[name] for name in INHERITED if name in inherited}
    return {**kept, "PYTHONUNBUFFERED": "1", **wanted, NAME_MARK: run, MARK: str(directory)}


class Output:
    """One of the two pipes of a child."""

    def __init__(self, stream: str, handle: int) -> None:
        self.stream = stream
        self.handle = handle
        self.lines = LineAssembler()
        os.set_blocking(handle, False)


class Child:
    """A started process, in a session and process group of its own."""

    def __init__(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> None:
        """Start it. Raises OSError."""
        self._process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self.pid = self._process.pid
        started = read_process(self.pid)
        self.start_time = started.start_time if started is not None else 0
        self.ended = os.pidfd_open(self.pid)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.outputs = [
            Output(STDOUT, self._process.stdout.fileno()),
            Output(STDERR, self._process.stderr.fileno()),
        ]

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def close(self) -> None:
        """Let go of its pipes, after it has ended."""
        os.close(self.ended)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def is_rank(pid: int, parent: int) -> bool:
    """True for a process that torchrun made. Its children have that too, so its parent must not."""
    return _RANK in environment(pid) and _RANK not in environment(parent)
