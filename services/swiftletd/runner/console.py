"""Brings what the child prints into the log, and waits for whatever comes first."""

from __future__ import annotations

import os
import select
import selectors
import signal
from collections.abc import Callable

from swiftletd.runner.child import Child, Output
from swiftletd.runner.log import SWIFTLET, LogWriter

READ_BYTES = 64 * 1024
# With a full disk nothing is read, so that the child waits and no line is lost.
STUCK_SECONDS = 0.5


class Console:
    """The log, the pipes of at most one child at a time, and a way to be woken."""

    def __init__(self, log: LogWriter, notify: Callable[[], None]) -> None:
        """`notify` is called after the log has grown."""
        self._log = log
        self._notify = notify
        self._selector = selectors.DefaultSelector()
        self._outputs: list[Output] = []
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._woken, selectors.EVENT_READ, self._clear_wake)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)

    def wake(self) -> None:
        """Make `pump` return at once; from any thread."""
        try:
            os.write(self._waker, b"\0")
        except BlockingIOError:
            return

    def say(self, message: str) -> None:
        """Write a line of Swiftlet's own."""
        self._log.write(SWIFTLET, [message])
        self._notify()

    def follow(self, child: Child) -> None:
        """Read what this child prints, and wake up when it ends."""
        self._selector.register(child.ended, selectors.EVENT_READ, lambda: self._forget(child.ended))
        for output in child.outputs:
            self._outputs.append(output)
            self._selector.register(output.handle, selectors.EVENT_READ, self._reader(output))

    def pump(self, seconds: float) -> None:
        """Wait for something to happen, at most so long, and take in what is there."""
        if self._log.stuck:
            self._log.flush()
        if self._log.stuck:
            select.select([self._woken], [], [], min(seconds, STUCK_SECONDS))
            self._clear_wake()
            return
        for key, _ in self._selector.select(max(0.0, seconds)):
            key.data()

    def drain(self, child: Child) -> None:
        """Take in all that is left of a child whose processes are gone, and forget it."""
        for output in child.outputs:
            while output in self._outputs and not self._log.stuck and self._read(output):
                continue
            self._write(output, output.lines.flush())
            self._close(output)
        self._forget(child.ended)
        child.close()

    def _reader(self, output: Output) -> Callable[[], None]:
        return lambda: None if self._read(output) else self._close(output)

    def _read(self, output: Output) -> bool:
        """Take in a chunk. False at the end, or if a drained pipe is empty."""
        try:
            chunk = os.read(output.handle, READ_BYTES)
        except BlockingIOError:
            return False
        self._write(output, output.lines.feed(chunk))
        return bool(chunk)

    def _write(self, output: Output, lines: list[str]) -> None:
        if lines:
            self._log.write(output.stream, lines)
            self._notify()

    def _close(self, output: Output) -> None:
        if output in self._outputs:
            self._outputs.remove(output)
            self._forget(output.handle)

    def _forget(self, handle: int) -> None:
        try:
            self._selector.unregister(handle)
        except KeyError:
            return

    def _clear_wake(self) -> None:
        try:
            os.read(self._woken, READ_BYTES)
        except BlockingIOError:
            return
