"""Marks of calls without Redis; kernel/redis/marks.py keeps the real ones."""

from __future__ import annotations

from swiftletd.kernel.idempotency import Repeated


class MemoryMarks:
    """`check` before an effect and `keep` with it, where a script has both in one."""

    def __init__(self):
        self._marks = {}

    async def get(self, key):
        return self._marks.get(key)

    def check(self, once):
        if once.key in self._marks:
            raise Repeated(once.key)

    def keep(self, once, result):
        if once.key:
            self._marks[once.key] = once.mark(result)

    def improve(self, once, answer):
        if once.key in self._marks:
            self._marks[once.key] = once.call + answer
