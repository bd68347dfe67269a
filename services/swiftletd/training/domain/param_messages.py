"""pydantic's errors in words that say what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from swiftletd.training.domain.violations import Violation, did_you_mean, shown

Context = Mapping[str, Any]


def _length(word: str, key: str) -> Callable[[Context], str]:
    return lambda ctx: f"must have {word} {ctx[key]} entries"


_WORDS: Mapping[str, Callable[[Context], str]] = {
    "greater_than": lambda ctx: f"must be greater than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"must be less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:g}",
    "literal_error": lambda ctx: f"must be {ctx['expected']}",
    "int_type": lambda _: "must be a whole number",
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "bool_type": lambda _: "must be true or false",
    "string_type": lambda _: "must be a text",
    "tuple_type": lambda _: "must be a list",
    "dict_type": lambda _: "must be an object of texts",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda ctx: f"must have at most {ctx['max_length']} characters",
    "string_pattern_mismatch": lambda _: "must be a plain name: letters, digits, '_', '.' and '-'",
    "too_short": _length("at least", "min_length"),
    "too_long": _length("at most", "max_length"),
    "value_error": lambda ctx: str(ctx["error"]),
}


def explain(error: ValidationError) -> list[Violation]:
    """One violation per fault, the first one where a union complains several times."""
    found: dict[str, Violation] = {}
    for detail in error.errors(include_url=False):
        found.setdefault(_path(detail), Violation(field=_path(detail), message=_message(detail)))
    return list(found.values())


def _path(detail: ErrorDetails) -> str:
    """`reward_funcs[1]`, `extra_args.seed`; a step that pydantic adds of its own is not part of it."""
    head, *rest = detail["loc"]
    steps = [f"[{step}]" for step in rest if isinstance(step, int)]
    if head == "extra_args" and rest:
        steps = [f".{rest[0]}"]
    return f"{head}{''.join(steps)}"


def _message(detail: ErrorDetails) -> str:
    words = _WORDS.get(detail["type"])
    text = words(detail.get("ctx", {})) if words else detail["msg"].lower()
    hint = _near(detail) if detail["type"] == "literal_error" else ""
    return f"{text} (got {shown(detail['input'])}){'.' + hint if hint else ''}"


def _near(detail: ErrorDetails) -> str:
    expected = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
    return did_you_mean(detail["input"], expected) if isinstance(detail["input"], str) else ""
