"""What is known about the installed ms-swift: its version, flags, model types and templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Kind(StrEnum):
    """What one word of a flag must be."""

    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag of a command. `many`: it takes several words. `default` is as written in the source."""

    name: str
    kind: Kind = Kind.TEXT
    many: bool = False
    default: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelType:
    """One architecture that ms-swift knows.

    `models` maps the last part of a known hub id, in lower case, to the template of that model
    ("" for the type's own `template`). `architectures` are the names used in config.json.
    """

    name: str
    template: str = ""
    architectures: tuple[str, ...] = ()
    models: Mapping[str, str]
    multimodal: bool = False

    @property
    def templates(self) -> tuple[str, ...]:
        """All templates that models of this type have, the type's own first."""
        return tuple(dict.fromkeys(name for name in (self.template, *self.models.values()) if name))


@dataclass(frozen=True, kw_only=True)
class Installation:
    """`flags` by command and name, `model_types` by name, `packages` as distributions are called on disk."""

    version: str
    flags: Mapping[str, Mapping[str, Flag]]
    model_types: Mapping[str, ModelType]
    templates: frozenset[str]
    packages: frozenset[str] = frozenset()

    @cached_property
    def by_model(self) -> Mapping[str, ModelType]:
        """The first type that lists a model, by the last part of its hub id in lower case."""
        last_first = reversed(list(self.model_types.values()))
        return {model: found for found in last_first for model in found.models}
