"""Signals as something that can be waited for."""

from __future__ import annotations

import os
import select
import signal

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Wishes to stop, and the deaths of children. One object for a process, made in its main thread."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing)
        for number in (*STOP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._reading, select.POLLIN)

    def wait(self, seconds: float) -> list[signal.Signals]:
        """Those that arrived; waits up to so many seconds for the first one."""
        arrived = os.read(self._reading, 256) if self._poll.poll(seconds * 1000) else b""
        return [signal.Signals(number) for number in arrived]
