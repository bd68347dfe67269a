"""Starting a runner so that it lives on whatever happens to who started it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

from swiftletd.runner.processes import MARK, NAME_MARK
from swiftletd.runner.title import ROOM

# What `python -m swiftletd.runner --detach` leaves with.
STARTED, FAILED, BAD_SPEC, BUSY = 0, 1, 2, 3
LAUNCH_SECONDS = 30.0
# A fork server that is silent for longer hangs: whoever waits behind it waits as well.
ANSWER_SECONDS = 10.0
LONGEST_REQUEST = 4096
_LAST_WORDS_BYTES = 2000


class LaunchError(RuntimeError):
    """The runner could not be started; the message says why."""


class ForkServerGone(Exception):
    """The fork server was killed or hangs: nobody knows what became of the request."""


class Spawner:
    """Starts each runner as a new Python."""

    def __init__(self, python: Path | str) -> None:
        """`python` is the interpreter that runs them."""
        self._python = str(python)

    def launch(self, run_dir: Path | str) -> bool:
        """Start the runner of a directory that has its spec.json; False if one works there already.

        When this returns, the runner has the lock, is in a session of its own, and is no child of this
        process, so that it is never a zombie of it. Takes a Python start, some 100 ms. Raises LaunchError.
        """
        directory = Path(run_dir).absolute()
        log = directory / "runner.log"
        try:
            output = _open_log(log)
            try:
                code = self._start(directory, output)
            finally:
                os.close(output)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LaunchError(f"The runner could not be started: {error}") from error
        if code not in {STARTED, BUSY}:
            raise LaunchError(f"The runner left with {code}: {_last_words(log)}")
        return code == STARTED

    def _start(self, directory: Path, output: int) -> int:
        # -P: the run directory is the working directory, and must not be a place to import from.
        command = [self._python, "-P", "-m", "swiftletd.runner", "--detach", str(directory)]
        return subprocess.run(
            command,
            cwd=directory,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            timeout=LAUNCH_SECONDS,
            check=False,
        ).returncode


class Launcher(Spawner):
    """Starts runners by a fork server, in a few milliseconds each, and as a Spawner where that fails.

    The server is started when it is first needed and ends with this process. Threads may share a launcher.
    """

    def __init__(self, python: Path | str) -> None:
        super().__init__(python)
        self._server: ForkServer | None = None
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """End the server. Runners live on."""
        with self._one_at_a_time:
            self._forget()

    def _start(self, directory: Path, output: int) -> int:
        try:
            with self._one_at_a_time:
                return self._fork(directory, output)
        except (OSError, ForkServerGone):
            # It may have started the runner before it died: then the lock is taken, and this one leaves.
            return super()._start(directory, output)

    def _fork(self, directory: Path, output: int) -> int:
        if self._server is None:
            self._server = ForkServer(self._python)
        try:
            return self._server.start(directory, output)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()


class ForkServer:
    """The service's side of `swiftletd.runner.forkserver`."""

    def __init__(self, python: str) -> None:
        """Start it. Raises OSError."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python, "-P", "-m", "swiftletd.runner.forkserver", str(theirs.fileno()), ROOM]
        try:
            self.process = subprocess.Popen(
                command,
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except BaseException:
            self._channel.close()
            raise
        finally:
            theirs.close()

    def start(self, directory: Path, log: int) -> int:
        """What `python -m swiftletd.runner --detach` would leave with. Raises ForkServerGone or OSError."""
        self._channel.settimeout(ANSWER_SECONDS)
        socket.send_fds(self._channel, [os.fsencode(directory)], [log])
        answer = self._channel.recv(LONGEST_REQUEST)
        if not answer:
            raise ForkServerGone
        return int(answer)

    def close(self) -> None:
        """End it, also if it hangs."""
        self._channel.close()
        self.process.kill()
        self.process.wait()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {MARK, NAME_MARK}}


def _open_log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _last_words(log: Path) -> str:
    lines = log.read_bytes()[-_LAST_WORDS_BYTES:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
