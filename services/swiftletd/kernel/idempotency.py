"""What makes a call of a client have its effect once, however often it is repeated.

The client gives the call an id of its own. The script that keeps the effect keeps a mark of the call with
it, and refuses where that mark is there already. The mark has the answer, so a repeat gets the first one's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from swiftletd.kernel.errors import Conflict

T = TypeVar("T")


class Repeated(Conflict):
    """The call has had its effect before; who asks again gets the answer from its mark."""


@dataclass(frozen=True, slots=True)
class Once(Generic[T]):
    """One call. `key` is the client's id for it, "" for none; `call` tells RPC and arguments.

    `answer` makes the serialized answer from what the call's effect leaves behind.
    """

    key: str
    call: bytes
    answer: Callable[[T], bytes]

    def mark(self, result: T) -> bytes:
        """What is kept with the effect; nothing for a call without an id."""
        return self.call + self.answer(result) if self.key else b""


UNKEYED: Once[Any] = Once("", b"", lambda _: b"")
