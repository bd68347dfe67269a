"""How an event is written into a stream entry and read from it."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import json_format

from swiftlet.event.v1.event_pb2 import Event


def encode(event: Event) -> dict[str, bytes | str]:
    """Fields of the stream entry for an event."""
    return {"type": event.type, "e": event.SerializeToString()}


def decode(fields: Mapping[bytes, bytes]) -> Event:
    """The event of a stream entry; runners, which know no protobuf, send its JSON form in `j`.

    Raises ValueError for an entry that is neither.
    """
    if b"e" in fields:
        return Event.FromString(fields[b"e"])
    if b"j" in fields:
        return json_format.Parse(fields[b"j"], Event(), ignore_unknown_fields=True)
    raise ValueError(f"an entry without an event: {sorted(fields)}")
