"""Reads ms-swift's flags and models out of its source text: importing it costs seconds and torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swiftletd.training.domain.installation import Flag, Kind

# Where versions 4 and 3 keep the dataclasses of their command lines.
_ARGUMENT_FILES = (
    "swift/arguments/**/*.py",
    "swift/llm/argument/**/*.py",
    "swift/trainers/arguments.py",
    "swift/rlhf_trainers/args*.py",
    "swift/ray_utils/arguments.py",
    "transformers/training_args.py",
    "transformers/training_args_seq2seq.py",
)
_COMMAND_CLASSES: Mapping[str, tuple[str, ...]] = {
    "sft": ("SftArguments", "TrainArguments"),
    "pt": ("PretrainArguments", "TrainArguments"),
    "rlhf": ("RLHFArguments",),
    "export": ("ExportArguments",),
    "deploy": ("DeployArguments",),
    "infer": ("InferArguments",),
}

Key = tuple[str, str]
"""("swift" or "transformers", class name): both have a class TrainingArguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    bases: tuple[Key, ...]
    flags: Mapping[str, Flag | None]


def read_flags(site_packages: Path) -> dict[str, dict[str, Flag]]:
    """The flags by command and name. Raises OSError or SyntaxError where the sources can't be read."""
    classes = dict(_classes(site_packages))
    return {
        command: _inherited(classes, ("swift", name))
        for command, names in _COMMAND_CLASSES.items()
        for name in names
        if ("swift", name) in classes
    }


def parse(path: Path) -> ast.Module:
    """The syntax tree of a source file."""
    return ast.parse(path.read_text("utf-8"), str(path))


def _classes(site_packages: Path) -> Iterator[tuple[Key, _Class]]:
    for pattern in _ARGUMENT_FILES:
        for path in sorted(site_packages.glob(pattern)):
            origin = pattern.split("/", 1)[0]
            tree = parse(path)
            foreign = _from_transformers(tree)
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    bases = tuple(foreign.get(name, (origin, name)) for name in map(ast.unparse, node.bases))
                    yield (origin, node.name), _Class(bases=bases, flags=dict(_own_flags(node)))


def _from_transformers(tree: ast.Module) -> dict[str, Key]:
    """Local name -> class, for what the module imports from transformers."""
    return {
        alias.asname or alias.name: ("transformers", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("transformers")
        for alias in node.names
    }


def _own_flags(node: ast.ClassDef) -> Iterator[tuple[str, Flag | None]]:
    """The class's own fields; None for one that takes the inherited flag off the command line."""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name = item.target.id
            if not ast.unparse(item.annotation).startswith("ClassVar"):
                yield name, None if _not_an_argument(item.value) else _flag(name, item.annotation, item.value)


def _not_an_argument(value: ast.expr | None) -> bool:
    """`field(init=False)`"""
    return isinstance(value, ast.Call) and _literal(_keywords(value).get("init")) is False


def _flag(name: str, annotation: ast.expr, value: ast.expr | None) -> Flag:
    inner, many = _item(annotation)
    choices = tuple(str(word) for word in _choices(inner))
    return Flag(name=name, kind=_kind(inner), many=many, default=_default(value), choices=choices)


def _item(annotation: ast.expr) -> tuple[ast.expr, bool]:
    """The annotation of one word, and whether there may be several: `Optional[List[int]]` -> `int`, True."""
    options = [option for option in _options(annotation) if not _is_none(option)]
    if len(options) != 1:
        return annotation, False
    only = options[0]
    if isinstance(only, ast.Subscript) and ast.unparse(only.value) in {"List", "list"}:
        return only.slice, True
    return only, False


def _options(annotation: ast.expr) -> list[ast.expr]:
    """The alternatives of a union, however it is written."""
    if isinstance(annotation, ast.BinOp):
        return [*_options(annotation.left), *_options(annotation.right)]
    if isinstance(annotation, ast.Subscript):
        outer, inner = ast.unparse(annotation.value), annotation.slice
        if outer == "Optional":
            return _options(inner)
        if outer == "Union" and isinstance(inner, ast.Tuple):
            return [option for part in inner.elts for option in _options(part)]
    return [annotation]


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


_KINDS = {"int": Kind.INT, "float": Kind.FLOAT, "bool": Kind.BOOL}


def _kind(annotation: ast.expr) -> Kind:
    names = {ast.unparse(option) for option in _options(annotation) if not _is_none(option)}
    return _KINDS.get(names.pop(), Kind.TEXT) if len(names) == 1 else Kind.TEXT


def _choices(annotation: ast.expr) -> list[Any]:
    if not (isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal"):
        return []
    words = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return [value for word in words if (value := _literal(word)) is not None]


def _default(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("field"):
        keywords = _keywords(value)
        value = keywords.get("default") or keywords.get("default_factory")
        value = value.body if isinstance(value, ast.Lambda) else value
    return ast.unparse(value) if value is not None else ""


def _keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def _inherited(classes: Mapping[Key, _Class], key: Key) -> dict[str, Flag]:
    """The flags of a class with those of its ancestors, the nearest definition of each."""
    built: dict[Key, type] = {}

    def build(wanted: Key) -> type:
        if wanted not in built:
            bases = tuple(build(known) for base in classes[wanted].bases if (known := _known(classes, base)))
            built[wanted] = type(wanted[1], bases, {"flags": classes[wanted].flags})
        return built[wanted]

    # Python itself computes the order of inheritance.
    lineage = [vars(ancestor).get("flags", {}) for ancestor in reversed(build(key).__mro__)]
    merged = {name: flag for flags in lineage for name, flag in flags.items()}
    return {name: flag for name, flag in merged.items() if flag is not None}


def _known(classes: Mapping[Key, _Class], key: Key) -> Key | None:
    """A base that swift does not define comes from transformers, by way of a third module."""
    return next((found for found in (key, ("transformers", key[1])) if found in classes), None)
