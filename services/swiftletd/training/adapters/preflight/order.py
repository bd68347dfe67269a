"""What is to be checked, and what was learned from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from swiftletd.training.adapters.preflight.dataset import split_sample
from swiftletd.training.adapters.preflight.places import Places, is_there
from swiftletd.training.domain.model_identity import Identity
from swiftletd.training.domain.param_fields import Method
from swiftletd.training.domain.param_models import BaseTrainingParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A job before it is accepted; `at` is the name of its parameter block in the request."""

    method: Method
    params: BaseTrainingParams
    model_path: str
    data_path: str
    output_dir: str
    keep_optimizer: bool = False
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the checks found out. The order has absolute paths; None is what a hub id leaves open.

    `rows` is how many of the data set were looked at. Sizes are in bytes.
    """

    order: Order
    model_bytes: int | None = None
    identity: Identity | None = None
    rows: int | None = None
    disk_needed: int = 0


def resolved(order: Order, places: Places) -> Order:
    """The order with each local path made absolute; hub ids stay as they are."""
    return replace(
        order,
        params=_resolved_params(order.params, places),
        model_path=_path(order.model_path, places),
        data_path=_data(order.data_path, places),
        output_dir=_always(order.output_dir, places),
    )


def _resolved_params(params: BaseTrainingParams, places: Places) -> BaseTrainingParams:
    """The very same object where no parameter names a path."""
    changes: dict[str, object] = {}
    if params.val_dataset is not None:
        changes["val_dataset"] = tuple(_data(text, places) for text in params.val_dataset) or None
    if params.ref_model:
        changes["ref_model"] = _path(params.ref_model, places)
    if params.resume_from_checkpoint:
        changes["resume_from_checkpoint"] = _always(params.resume_from_checkpoint, places)
    if params.deepspeed:
        changes["deepspeed"] = _preset_or_path(params.deepspeed, places)
    return params.model_copy(update=changes) if changes else params


def _path(text: str, places: Places) -> str:
    return places.local(text) or text


def _data(text: str, places: Places) -> str:
    """A file may have a `#` in its name; otherwise the number of samples stands behind it."""
    whole = places.local(text)
    if whole and ("#" not in text or is_there(whole)):
        return whole
    path, sample = split_sample(text)
    return _path(path, places) + (f"#{sample}" if sample else "")


def _always(text: str, places: Places) -> str:
    return places.absolute(text)


def _preset_or_path(text: str, places: Places) -> str:
    return text if text in PRESETS else _always(text, places)


PRESETS = frozenset({"zero0", "zero1", "zero2", "zero3", "zero2_offload", "zero3_offload"})
"""DeepSpeed configurations that ms-swift brings."""
