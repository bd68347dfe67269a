"""Ids and times as the contract writes them."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime

_ALPHABET = b"abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters, none that reads like another
_LETTERS = bytes(_ALPHABET[byte % 32] for byte in range(256))
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")

ID_RULE = (
    "must begin and end with a letter or digit, with letters, digits, '-', '_' and '.' between, at most 63"
)


def new_id(prefix: str) -> str:
    """A new id like "job-k3v9x2mq4a": 50 random bits."""
    return f"{prefix}-{secrets.token_bytes(10).translate(_LETTERS).decode()}"


def is_id(text: str) -> bool:
    """Whether a client may use `text` as an id: it is safe in paths, keys and URLs."""
    return _ID.match(text) is not None


def rfc3339(unix_seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds; "" for 0, the time that isn't reached yet."""
    if not unix_seconds:
        return ""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> float:
    """RFC 3339 to unix seconds; a time without an offset is UTC. ValueError if it is neither."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
