"""The limits of a field, read from the words in which its comment states them.

| words | limit |
|---|---|
| `1 to 100`, `0 to 0.5`, `from 1`, `0 or more` | minimum, maximum |
| `above 0 up to 1`, `0 to below 1` | with an exclusive end |
| `10 if not given`, `true if not given`, and a word of `One of` | default |
| `at most 63`, `1 to 63 characters` | minLength, maxLength |
| `letters, digits, "-", "_" and "." between letters or digits` | the pattern of an id |
| `a name of letters, digits, "_", "." and "-"` | the pattern of a name |
| `a size like "8GB"` | the pattern of a size |
| `RFC 3339 time` | format date-time |
| `One of a, b or c.` | enum |
| `at most 64 items` (of a list) | maxItems |
| `at most 64 entries` (of a map) | maxProperties |
"""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

NUMBER = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
RANGE = re.compile(rf"\b{NUMBER} to (below )?{NUMBER}\b")
ABOVE = re.compile(rf"\babove {NUMBER} up to {NUMBER}\b")
ABOVE_AND_BELOW = re.compile(rf"\babove {NUMBER} and below {NUMBER}\b")
LEAST = re.compile(rf"\b[Ff]rom {NUMBER}\b|\b{NUMBER} or more\b")
DEFAULT = re.compile(rf"\b(?:{NUMBER}|true|false) if not given\b")
WORD_DEFAULT = re.compile(r"\b([\w-]+) if not given\b")
LENGTH = re.compile(r"\bat most (\d+)\b(?! items)|\b(\d+) to (\d+) characters\b")
ITEMS = re.compile(r"\bat most (\d+) items\b")
ENTRIES = re.compile(r"\bat most (\d+) entries\b")
CHOICES = re.compile(r"\bOne of ((?:[\w-]+, )*[\w-]+) or ([\w-]+)\.")
PATTERNS = {
    'letters, digits, "-", "_" and "." between letters or digits': (
        r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$"
    ),
    'a name of letters, digits, "_", "." and "-"': r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
    "a size like": r"^(\s*\d{1,9}(\.\d{1,6})?\s*[KMGTkmgt]?i?[Bb]?\s*)?$",
}


def limits(field: FieldDescriptor, comment: str) -> dict[str, Any]:
    """Those of a single value: of a list, of each of its items."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _of_text(comment)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        found = DEFAULT.search(comment)
        return {"default": found[0].startswith("true")} if found else {}
    default = DEFAULT.search(comment)
    return {**_of_number(comment), **({"default": _number(default[1])} if default and default[1] else {})}


def count_limits(comment: str) -> dict[str, int]:
    """How much a list or map may have."""
    if entries := ENTRIES.search(comment):
        return {"maxProperties": int(entries[1])}
    items = ITEMS.search(comment)
    return {"maxItems": int(items[1])} if items else {}


def _of_text(comment: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if choices := CHOICES.search(comment):
        found["enum"] = known = [*choices[1].split(", "), choices[2]]
        word = WORD_DEFAULT.search(comment)
        found |= {"default": word[1]} if word and word[1] in known else {}
    if length := LENGTH.search(comment):
        found["maxLength"] = int(length[1] or length[3])
        found |= {"minLength": int(length[2])} if length[2] else {}
    if "RFC 3339 time" in comment:
        found["format"] = "date-time"
    for words, pattern in PATTERNS.items():
        if words in comment:
            found["pattern"] = pattern
    return found


def _of_number(comment: str) -> dict[str, Any]:
    if choices := CHOICES.search(comment):
        return {"enum": [_number(word) for word in (*choices[1].split(", "), choices[2])]}
    if both := ABOVE_AND_BELOW.search(comment):
        return {"exclusiveMinimum": _number(both[1]), "exclusiveMaximum": _number(both[2])}
    if above := ABOVE.search(comment):
        return {"exclusiveMinimum": _number(above[1]), "maximum": _number(above[2])}
    if stated := RANGE.search(comment):
        end = "exclusiveMaximum" if stated[2] else "maximum"
        return {"minimum": _number(stated[1]), end: _number(stated[3])}
    least = LEAST.search(comment)
    return {"minimum": _number(least[1] or least[2])} if least else {}


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value
