"""`python -m swiftletd.runner.forkserver FD`: makes runners by forking, for the service that started it.

A Python start with all imports costs 0.1 s of processor time, a fork a few milliseconds. The process has no
threads and opens nothing, so that a fork of it is safe. It belongs to one service: requests come over a
socket pair that only the two have, and when the service ends, or closes its side, it ends as well. It may be
killed at any moment: who has the lock of a run directory is its runner, whoever was asked to start it.

A request is the path of a run directory, with the handle of its runner.log; the answer is the exit code of
`python -m swiftletd.runner --detach`.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import NoReturn

from swiftletd.runner.launching import FAILED, LONGEST_REQUEST, STARTED
from swiftletd.runner.starting import begin
from swiftletd.runner.title import set_title

TITLE = (sys.executable, "-P", "-m", "swiftletd.runner")


def serve(channel: socket.socket) -> None:
    """Answer requests until the other side is gone."""
    set_title(*TITLE[:3], f"{TITLE[3]}.forkserver")
    # Runners that end leave no zombies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What is there now stays shared with all runners: the collector must not touch it.
    gc.collect()
    gc.freeze()
    while True:
        request, handles, _, _ = socket.recv_fds(channel, LONGEST_REQUEST, 1)
        if not request:
            return
        code = _fork(channel, os.fsdecode(request), handles[0])
        os.close(handles[0])
        channel.send(str(code).encode())


def _fork(channel: socket.socket, run_dir: str, log: int) -> int:
    """Fork a runner, and wait until it has the lock, or leaves."""
    decided, decide = os.pipe()
    if os.fork() == 0:
        os.close(decided)
        channel.close()
        _become_runner(run_dir, log, decide)
    os.close(decide)
    code = os.read(decided, 1)
    os.close(decided)
    return code[0] if code else FAILED


def _become_runner(run_dir: str, log: int, decide: int) -> NoReturn:
    def stand_alone() -> None:
        with suppress(OSError):  # the server has been killed: the run goes on
            os.write(decide, bytes([STARTED]))
        os.close(decide)

    code = FAILED
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.chdir(run_dir)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        set_title(*TITLE, "--detach", run_dir)
        code = begin(run_dir, stand_alone)
        if code != STARTED:
            os.write(decide, bytes([code]))
    except BaseException:  # noqa: BLE001 whatever it is, this process must not go on as a second server
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
