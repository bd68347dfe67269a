# Made by make_sync.py from the async client. Change that one.
"""Lists that fetch their next page when they get there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from swiftlet._shared.pages import Page

T = TypeVar("T")


class Pager(Generic[T]):
    """Iterate over it for the items; nothing is asked for before that."""

    def __init__(self, fetch: Callable[[str], Page[T]]) -> None:
        self._fetch = fetch

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[T]]:
        """Page by page, with the total."""
        token = ""
        while True:
            page = self._fetch(token)
            yield page
            if not page.next_token:
                return
            token = page.next_token
