"""Lists that fetch their next page when they get there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from swiftlet._shared.pages import Page

T = TypeVar("T")


class Pager(Generic[T]):
    """Iterate over it for the items; nothing is asked for before that."""

    def __init__(self, fetch: Callable[[str], Awaitable[Page[T]]]) -> None:
        self._fetch = fetch

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Page by page, with the total."""
        token = ""
        while True:
            page = await self._fetch(token)
            yield page
            if not page.next_token:
                return
            token = page.next_token
