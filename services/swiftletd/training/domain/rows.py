"""What ms-swift makes of a row of training data: pure, one row at a time.

ms-swift drops a row that it can't use with a line in the log, and fails with ZeroDivisionError when
none is left; rows without an answer it trains on with a loss of 0. So both are refused beforehand.
What a row holds is not repeated in a message: the file may be none of the client's business.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swiftletd.training.domain.param_fields import Method
from swiftletd.training.domain.violations import one_of

Row = Mapping[str, Any]

MESSAGES = ("messages", "conversation", "conversations")
QUERIES = ("query", "prompt", "input", "instruction", "question", "problem")
RESPONSES = (
    "response",
    "answer",
    "output",
    "targets",
    "target",
    "answer_key",
    "answers",
    "solution",
    "text",
    "completion",
    "content",
)
ROLES = frozenset(
    {"system", "user", "human", "assistant", "gpt", "bot", "tool", "tool_call", "tool_response"}
    | {"function_call", "function_response", "observation", "observations"}
)
ANSWERS = frozenset({"assistant", "gpt", "bot", "function_call", "tool_call"})
MEDIA: Mapping[str, str] = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the job needs of each row."""

    method: Method
    rlhf_type: str | None = None

    @property
    def answer(self) -> bool:
        """grpo samples the answers itself."""
        return self.rlhf_type != "grpo"

    @property
    def rejected(self) -> bool:
        return self.rlhf_type == "dpo"


def row_fault(row: object, need: Need) -> str:
    """What is wrong with the row for this job, as the rest of a sentence; empty where nothing is."""
    if not isinstance(row, dict):
        return f"must be an object, such as {_example(need)}"
    named = {str(key).lower(): value for key, value in row.items()}
    column = next((name for name in MESSAGES if name in named), None)
    fault = _messages_fault(named[column], need) if column else _plain_fault(named, need)
    return fault or (_rejected_fault(named) if need.rejected else "")


def media_of(row: Row) -> Iterator[tuple[str, str]]:
    """("images", path or URL) for every picture, film or sound that the row names."""
    for column in MEDIA:
        value = row.get(column, row.get(column.removesuffix("s")))
        for item in value if isinstance(value, list) else [value]:
            path = item.get("path") if isinstance(item, dict) else item
            if isinstance(path, str) and path:
                yield column, path


def media_fault(row: Row) -> str:
    """A tag that stands for a picture needs the picture."""
    text = json.dumps(row.get("messages", row), default=str, ensure_ascii=False)
    given = [column for column, _ in media_of(row)]
    for column, tag in MEDIA.items():
        if text.count(tag) > given.count(column) and not _embedded(row, column):
            return f"has {text.count(tag)} {tag} tags and {given.count(column)} {column}"
    return ""


def _embedded(row: Row, column: str) -> bool:
    """Media that is given as bytes, or within the messages, is not counted."""
    value = row.get(column)
    return isinstance(value, list) and any(not isinstance(item, str) for item in value)


def _messages_fault(value: object, need: Need) -> str:
    messages = _unpacked(value)
    if not isinstance(messages, list) or not messages:
        return f"must have a list of messages, such as {_example(need)}"
    if all(isinstance(message, dict) and _is_pair(message) for message in messages):
        return ""
    for place, message in enumerate(messages):
        if fault := _message_fault(message):
            return f"has in messages[{place}] {fault}"
    if need.answer and not any(_role(message) in ANSWERS for message in messages):
        return "has no message of role assistant, so there is nothing to learn from it"
    return ""


def _unpacked(value: object) -> object:
    """In a csv file messages stand as text."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _is_pair(message: Row) -> bool:
    """The older shape of a turn: `{"human": "...", "assistant": "..."}`."""
    asked = message.get("user", message.get("human"))
    answered = next((message[name] for name in ("assistant", "gpt", "bot") if name in message), None)
    return asked is not None and answered is not None and "content" not in message


def _message_fault(message: object) -> str:
    if not isinstance(message, dict):
        return "something else than an object with role and content"
    role = _role(message)
    if role not in ROLES:
        return "no role of system, user, assistant or tool"
    content = message.get("content", message.get("value"))
    if content is None and not message.get("tool_calls"):
        return "no content"
    return (
        "" if content is None or isinstance(content, str | list | Mapping) else "a content that is not a text"
    )


def _role(message: Any) -> str:
    return str(message.get("role", message.get("from"))).replace("-", "_")


def _plain_fault(named: Row, need: Need) -> str:
    """Rows of a question column and an answer column, under one of many names, `history` before them."""
    asked, answered = _has(named, QUERIES), _has(named, RESPONSES)
    if need.method is Method.PT:
        return "" if asked or answered else f"has no text to train on; give it one, such as {_example(need)}"
    if not asked and not named.get("history"):
        return f"has neither messages nor a question; it may look like {_example(need)}"
    if need.answer and not answered:
        return f"has a question and no answer; give it one as {one_of(RESPONSES[:3])}"
    return ""


def _has(named: Row, columns: tuple[str, ...]) -> bool:
    return any(named.get(name) not in (None, "", []) for name in columns)


def _rejected_fault(named: Row) -> str:
    if named.get("rejected_messages"):
        return _prefixed(
            "rejected_messages", _messages_fault(named["rejected_messages"], Need(method=Method.SFT))
        )
    rejected = named.get("rejected_response")
    if not rejected:
        return "has no rejected_response, which dpo compares with the answer"
    return "has a rejected_response that is the answer itself" if rejected == _last_answer(named) else ""


def _prefixed(column: str, fault: str) -> str:
    return f"in {column} {fault}" if fault else ""


def _last_answer(named: Row) -> object:
    messages = _unpacked(next((named[name] for name in MESSAGES if name in named), None))
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return messages[-1].get("content", messages[-1].get("value"))
    return next((named[name] for name in RESPONSES if named.get(name)), None)


def _example(need: Need) -> str:
    if need.method is Method.PT:
        return '{"messages": [{"role": "assistant", "content": "..."}]}'
    rejected = ', "rejected_response": "..."' if need.rejected else ""
    answer = ', {"role": "assistant", "content": "..."}' if need.answer else ""
    return f'{{"messages": [{{"role": "user", "content": "..."}}{answer}]{rejected}}}'
