"""How a record is written into its hash and read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.lease import Lease
from swiftletd.gpu.domain.predict import Prediction
from swiftletd.gpu.domain.score import Kept
from swiftletd.gpu.ports import Claim, Record, State

FIELDS = ("s", "v", "sv", "b", "l", "p", "t", "r")
WHOLE = -1  # in JSON that Lua reads, where null would be a hole in a table


class Body(msgspec.Struct, frozen=True):
    """The part of a record that only Python reads."""

    entry: Entry
    similarity: str = ""


encode: Any = msgspec.json.Encoder().encode
_body = msgspec.json.Decoder(Body).decode
_lease = msgspec.json.Decoder(Lease).decode
_prediction = msgspec.json.Decoder(tuple[float | None, float | None]).decode
_kept = msgspec.json.Decoder(Kept).decode


def body(record: Record) -> bytes:
    """Field `b`."""
    return bytes(encode(Body(record.entry, record.similarity)))


def lease(record: Record) -> bytes:
    """Field `l`."""
    return bytes(encode(record.lease)) if record.lease else b""


def prediction(record: Record) -> bytes:
    """Field `p`."""
    made = record.prediction
    return bytes(encode((made.p50, made.p90))) if made else b""


def claims(of: Sequence[Claim]) -> bytes:
    """What grant.lua checks: [[device, MiB or -1, room in MiB, most shares], ...]."""
    rows = [(c.share.device, _mib(c), c.room_mib, c.max_shares) for c in of]
    return bytes(encode(rows))


def kept(record: Record, started: float) -> bytes:
    """A prediction with the real start, for judging it; empty where none was made."""
    made = record.prediction
    if made is None or made.p50 is None or made.p90 is None:
        return b""
    return bytes(encode(Kept(made.p50, made.p90, started)))


def read_kept(raw: bytes) -> Kept:
    """What `kept` wrote."""
    return _kept(raw)


def read(fields: Sequence[bytes | None]) -> Record | None:
    """The record of a hash, from the values of FIELDS; None if there is no such hash."""
    got: Mapping[str, bytes | None] = dict(zip(FIELDS, fields, strict=True))
    if not got["s"] or not got["b"]:
        return None
    kept = _body(got["b"])
    return Record(
        entry=kept.entry,
        similarity=kept.similarity,
        state=State(got["s"].decode()),
        version=int(got["v"] or 0),
        source=int(got["sv"] or 0),
        lease=_lease(got["l"]) if got["l"] else None,
        prediction=Prediction(*_prediction(got["p"])) if got["p"] else None,
        told=got["t"] == b"1",
        revoking=(got["r"] or b"").decode(),
    )


def _mib(claim: Claim) -> int:
    return WHOLE if claim.share.memory_mib is None else claim.share.memory_mib
