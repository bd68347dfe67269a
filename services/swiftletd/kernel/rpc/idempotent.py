"""Repeated calls get the first one's answer: the field `request_id`, or the header Idempotency-Key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, TypeVar

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from swiftletd.kernel.errors import ServiceError, invalid
from swiftletd.kernel.idempotency import Once
from swiftletd.kernel.rpc.call import Call, Interceptor, Proceed

T = TypeVar("T")

MOST = 128  # characters of a request id
HEADER = "idempotency-key"
REPLAYED = (("idempotent-replayed", "true"),)


class Marks(Protocol):
    """Where the marks of calls are kept."""

    async def get(self, key: str) -> bytes | None:
        """The mark of a client's id."""
        ...


def once(request: Any, answer: Callable[[T], Message]) -> Once[T]:
    """The call that a request is; `answer` makes the answer from what its effect leaves behind."""
    key: str = request.request_id
    return Once(key, _call(request) if key else b"", lambda result: answer(result).SerializeToString())


def idempotent(marks: Marks) -> Interceptor:
    """An interceptor that answers repeats of each call whose request has a `request_id`.

    The header goes into the field, so nobody behind this needs to know of it.
    """

    async def answer_once(call: Call, proceed: Proceed) -> Any:
        reply = reply_of(call.method)
        if reply is None:
            return await proceed(call)
        request = call.request
        if not request.request_id and HEADER in call.metadata:
            request.request_id = call.metadata[HEADER]
        if not request.request_id:
            return await proceed(call)
        if (answer := await _first_answer(marks, request)) is not None:
            return await _replay(answer, reply, call)
        try:
            return await proceed(call)
        except ServiceError:  # perhaps because the same call was faster elsewhere
            if (answer := await _first_answer(marks, request)) is not None:
                return await _replay(answer, reply, call)
            raise

    return answer_once


async def _first_answer(marks: Marks, request: Any) -> bytes | None:
    """What the first call got. Raises InvalidArgument where the id belongs to another one."""
    key: str = request.request_id
    if len(key) > MOST:
        raise invalid("request_id", f"is longer than {MOST} characters.")
    mark, call = await marks.get(key), _call(request)
    if mark is None:
        return None
    if not mark.startswith(call):
        name = mark.partition(b"\n")[0].decode(errors="replace").removesuffix("Request")
        told = f"the Idempotency-Key {key!r} was used before, for a {name} with other arguments."
        if name != request.DESCRIPTOR.name.removesuffix("Request"):
            told = f"the Idempotency-Key {key!r} was used before, for a {name}."
        raise invalid("request_id", f"{told} Take a new one for each request.")
    return mark[len(call) :]


async def _replay(answer: bytes, reply: type[Message], call: Call) -> Message:
    await call.context.send_initial_metadata(REPLAYED)
    return reply.FromString(answer)


@cache
def reply_of(method: str) -> type[Message] | None:
    """The class of the answers of "/package.Service/Method" where its request has a `request_id`."""
    try:
        found = descriptor_pool.Default().FindMethodByName(method.lstrip("/").replace("/", "."))
    except KeyError:
        return None
    asked = "request_id" in found.input_type.fields_by_name
    return message_factory.GetMessageClass(found.output_type) if asked else None


def _call(request: Any) -> bytes:
    """Which RPC and which arguments: the name of its request, a line end, 16 bytes of a digest."""
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    bare.DiscardUnknownFields()
    digest = hashlib.sha256(bare.SerializeToString(deterministic=True)).digest()[:16]
    return bytes(request.DESCRIPTOR.name.encode() + b"\n" + digest)
