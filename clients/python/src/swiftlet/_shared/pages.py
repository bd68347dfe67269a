"""One page of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items, how many there are on all pages, and the token of the next page; empty on the last."""

    items: Sequence[T]
    total: int
    next_token: str = ""
