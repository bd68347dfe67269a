"""An event loop without a clock, sockets or threads: a seed decides who runs next, and time jumps."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import base_events
from contextvars import ContextVar

PROCESS: ContextVar = ContextVar("process")


class Stuck(Exception):
    """Nothing is left that could ever run."""


class VirtualLoop(base_events.BaseEventLoop):
    """`time()` is virtual seconds. Work of a killed process is dropped, that of a stopped one waits."""

    def __init__(self, rng):
        super().__init__()
        self._rng, self._now = rng, 0.0
        self._queue, self._timers, self._set = [], [], 0
        self.steps = 0

    def time(self):
        return self._now

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._queue.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when, callback, *args, context=None):
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._set += 1
        heapq.heappush(self._timers, (when, self._set, timer))
        return timer

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self._now + max(0.0, delay), callback, *args, context=context)

    def run_in_executor(self, executor, func, *args):
        """At once: in a simulation a thread is only another name for a moment."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 it belongs to who awaits it
            future.set_exception(error)
        return future

    def _process_events(self, event_list):
        """There are none."""

    def _write_to_self(self):
        """Nobody sleeps."""

    def _timer_handle_cancelled(self, handle):
        """It is dropped when its time comes."""

    def _run_once(self):
        self.steps += 1
        queue = self._queue
        if not queue:
            self._jump()
        last = len(queue) - 1
        chosen = int(self._rng() * (last + 1)) if last else 0
        handle, queue[chosen] = queue[chosen], queue[last]
        queue.pop()
        process = handle._context.get(PROCESS, None)
        if process is not None and not process.may_run(handle):
            return
        if not handle._cancelled:
            handle._run()

    def requeue(self, handles):
        """Work that had been put aside."""
        self._queue += handles

    def _jump(self):
        timers, queue = self._timers, self._queue
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise Stuck
        now = self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:
                queue.append(timer)
