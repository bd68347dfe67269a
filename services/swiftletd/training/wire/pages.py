"""Page tokens: where the next page of a list begins, bound to the filter that it was asked with."""

from __future__ import annotations

import base64
import binascii
import zlib

from swiftletd.kernel.errors import invalid
from swiftletd.kernel.ids import is_id
from swiftletd.training.domain.job import Job
from swiftletd.training.ports import Filter, Place


def page_token(last: Job, wanted: Filter) -> str:
    """The token of the page after the one that ends with this job."""
    place = Place.of(last)
    text = f"{place.microsecond}:{_mark(wanted)}:{place.job_id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def page_begin(token: str, wanted: Filter) -> Place | None:
    """The job after which the page begins; None for the first page. Raises InvalidArgument."""
    if not token:
        return None
    try:
        time, mark, job_id = base64.urlsafe_b64decode(token.encode()).decode().split(":")
        if mark == _mark(wanted) and time.isdecimal() and len(time) <= 16 and is_id(job_id):
            return Place(int(time), job_id)
    except (binascii.Error, ValueError):
        pass
    raise invalid("page_token", "doesn't belong to this list and filter. Begin again without it.")


def _mark(wanted: Filter) -> str:
    return f"{zlib.crc32(repr(wanted).encode()):08x}"
