"""Reads the model types that ms-swift knows, and the names of its templates, out of its source text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from swiftletd.training.adapters.swift_source import parse
from swiftletd.training.domain.installation import ModelType

# Versions 4 and 3.
_MODEL_FILES = ("swift/model/models/*.py", "swift/llm/model/model/*.py")
_MODEL_NAMES = ("swift/model/constant.py", "swift/llm/model/constant.py")
_TEMPLATE_NAMES = ("swift/template/constant.py", "swift/llm/template/constant.py")


def read_templates(site_packages: Path) -> frozenset[str]:
    """The names of all templates."""
    return frozenset(_constants(site_packages, _TEMPLATE_NAMES).values())


def read_model_types(site_packages: Path) -> dict[str, ModelType]:
    """The model types by name, as `register_model(ModelMeta(...))` declares them."""
    types = _constants(site_packages, _MODEL_NAMES)
    templates = _constants(site_packages, _TEMPLATE_NAMES)
    multimodal = _multimodal(site_packages)
    found = {}
    for call in _calls(site_packages):
        name = types.get(_constant_name(call.args[0], "ModelType")) if call.args else None
        if name is not None:
            found[name] = _model_type(call, name, templates, multimodal=name in multimodal)
    return found


def _calls(site_packages: Path) -> Iterator[ast.Call]:
    for pattern in _MODEL_FILES:
        for path in sorted(site_packages.glob(pattern)):
            yield from _calls_of(parse(path), "ModelMeta")


def _calls_of(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def _model_type(call: ast.Call, name: str, templates: dict[str, str], *, multimodal: bool) -> ModelType:
    models = {
        model: templates.get(_template_of(group), "")
        for group in _calls_of(call, "ModelGroup")
        for model in _model_names(group)
    }
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    return ModelType(
        name=name,
        template=templates.get(_template_of(call), ""),
        architectures=_strings(keywords.get("architectures")),
        models=models,
        multimodal=multimodal,
    )


def _template_of(call: ast.Call) -> str:
    """The `TemplateType.x` among the call's own arguments: its place differs between the versions."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    return next((name for node in arguments if (name := _constant_name(node, "TemplateType"))), "")


def _constant_name(node: ast.expr, suffix: str) -> str:
    """`x` of `SomethingModelType.x`"""
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id.endswith(suffix)
    ):
        return node.attr
    return ""


def _model_names(group: ast.Call) -> Iterator[str]:
    """The last parts of the hub ids in `Model('owner/name', ...)`, in lower case."""
    for model in _calls_of(group, "Model"):
        for text in (*model.args, *(keyword.value for keyword in model.keywords)):
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield text.value.rsplit("/", 1)[-1].lower()


def _strings(node: ast.expr | None) -> tuple[str, ...]:
    if not isinstance(node, ast.List):
        return ()
    return tuple(
        item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)
    )


def _constants(site_packages: Path, files: tuple[str, ...]) -> dict[str, str]:
    """`x = 'value'` in all classes of the first file that is there."""
    classes = _constant_classes(site_packages, files)
    return {name: value for constants in classes.values() for name, value in constants.items()}


def _multimodal(site_packages: Path) -> frozenset[str]:
    return frozenset(_constant_classes(site_packages, _MODEL_NAMES).get("MLLMModelType", {}).values())


def _constant_classes(site_packages: Path, files: tuple[str, ...]) -> dict[str, dict[str, str]]:
    path = next((site_packages / name for name in files if (site_packages / name).is_file()), None)
    nodes = [node for node in parse(path).body if isinstance(node, ast.ClassDef)] if path else []
    return {node.name: dict(_assigned(node)) for node in nodes}


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for item in node.body:
        match item:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))):
                yield name, value
