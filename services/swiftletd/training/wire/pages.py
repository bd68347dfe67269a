"""Page tokens: where the next page of a list begins, bound to the filter that it was asked with."""

from __future__ import annotations

import base64
import binascii
import zlib

from swiftletd.kernel.errors import invalid
from swiftletd.training.domain.job import Job
from swiftletd.training.ports import Filter


def page_token(last: Job, wanted: Filter) -> str:
    """The token of the page after the one that ends with this job."""
    text = f"{int(last.created_at * 1e6)}.{_mark(wanted)}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def page_begin(token: str, wanted: Filter) -> int:
    """The microsecond before which the page's jobs were created; 0 for the first page."""
    if not token:
        return 0
    try:
        begin, _, mark = base64.urlsafe_b64decode(token.encode()).decode().partition(".")
        if mark == _mark(wanted) and begin.isdecimal():
            return int(begin)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise invalid("page_token", "doesn't belong to this list and filter. Begin again without it.")


def _mark(wanted: Filter) -> str:
    return f"{zlib.crc32(repr(wanted).encode()):08x}"
