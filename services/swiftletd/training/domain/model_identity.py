"""Which model type and template ms-swift will take for a local model: its rules, decided before the queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swiftletd.training.domain.installation import Installation, ModelType
from swiftletd.training.domain.violations import Violation, did_you_mean, one_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Clues:
    """What a model directory says: its name, config.json, and the args.json that ms-swift adds to its own."""

    name: str
    config: Mapping[str, Any]
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Empty where nothing is known and ms-swift would go on with a plain text model."""

    model_type: str
    template: str
    multimodal: bool


def identify(
    clues: Clues, installation: Installation, *, model_type: str = "", template: str = ""
) -> Identity | list[Violation]:
    """The identity, or what the client must pass; `model_type` and `template` are what it passed already."""
    unknown = unknown_words(installation, model_type, template)
    if unknown:
        return unknown
    known = _by_name(clues.name, installation)
    names = _model_types(clues, installation, model_type, known)
    if len(names) > 1:
        text = f"can't be told from the model, which may be {one_of(names)}; set it"
        return [Violation(field="model_type", message=text)]
    if not names:
        return _unlisted(clues, template)
    found = installation.model_types.get(names[0])
    templates = _templates(clues, template, found, known)
    if len(templates) != 1:
        known_ones = f" ({one_of(templates)} belong to {names[0]})" if templates else ""
        return [Violation(field="template", message=f"can't be told from the model{known_ones}; set it")]
    return Identity(model_type=names[0], template=templates[0], multimodal=bool(found and found.multimodal))


def unknown_words(installation: Installation, model_type: str, template: str) -> list[Violation]:
    """A model type or template that the installed ms-swift does not have; empty ones are not looked at."""
    chosen = (
        ("model_type", model_type, installation.model_types),
        ("template", template, installation.templates),
    )
    return [
        Violation(
            field=field,
            message=f"'{word}' is not known to ms-swift {installation.version}.{did_you_mean(word, known)}",
        )
        for field, word, known in chosen
        if word and word not in known
    ]


def _by_name(name: str, installation: Installation) -> ModelType | None:
    """The type that lists a model of this name: a directory called as a known model is taken for it."""
    return installation.by_model.get(name.lower())


def _model_types(
    clues: Clues, installation: Installation, chosen: str, known: ModelType | None
) -> tuple[str, ...]:
    """The first rule that says something wins: the parameter, the name, args.json, the architecture."""
    if chosen:
        return (chosen,)
    if known:
        return (known.name,)
    noted = clues.args.get("model_type")
    # Before version 4 the types had other names, and ms-swift does not take them over.
    if isinstance(noted, str) and _major(clues.args) >= 4:
        return (noted,)
    architectures = clues.config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    return tuple(found.name for found in installation.model_types.values() if first in found.architectures)


def _templates(
    clues: Clues, chosen: str, found: ModelType | None, known: ModelType | None
) -> tuple[str, ...]:
    noted = clues.args.get("template")
    for word in (chosen, noted if isinstance(noted, str) else ""):
        if word:
            return (word,)
    if found is None:
        return ()
    if known is found and (own := found.models[clues.name.lower()]):
        return (own,)
    return (found.template,) if found.template else found.templates


def _unlisted(clues: Clues, template: str) -> Identity | list[Violation]:
    """ms-swift trains an architecture it does not list as a plain text model, but not a multimodal one."""
    if "vision_config" in clues.config or "audio_config" in clues.config:
        text = "can't be told from the model, whose architecture ms-swift does not list; set it"
        return [Violation(field="model_type", message=text)]
    return Identity(model_type="", template=template, multimodal=False)


def _major(args: Mapping[str, Any]) -> int:
    head = str(args.get("swift_version") or "0").split(".", 1)[0]
    return int(head) if head.isdecimal() else 0
