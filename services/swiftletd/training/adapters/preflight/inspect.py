"""All checks of one order, each told by its field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from swiftletd.training.adapters.preflight.dataset import LocalDataset, Look, split_sample
from swiftletd.training.adapters.preflight.files import Unreadable, read_object
from swiftletd.training.adapters.preflight.model import LocalModel
from swiftletd.training.adapters.preflight.order import PRESETS, Facts, Order, resolved
from swiftletd.training.adapters.preflight.output import output_fault
from swiftletd.training.adapters.preflight.places import Places, is_hub_dataset, is_hub_model, is_there
from swiftletd.training.adapters.preflight.reading import AnyReader
from swiftletd.training.adapters.preflight.resume import check_checkpoint
from swiftletd.training.domain.checkpoint_size import disk_needed, model_size
from swiftletd.training.domain.extra_args import check_extra_args
from swiftletd.training.domain.installation import Installation
from swiftletd.training.domain.model_identity import Identity, identify, unknown_words
from swiftletd.training.domain.needs import missing_packages
from swiftletd.training.domain.param_fields import Method, TrainerType
from swiftletd.training.domain.placeholders import placeholder_in
from swiftletd.training.domain.rows import Need
from swiftletd.training.domain.violations import InvalidParams, Violation, in_file, placed

T = TypeVar("T")


def inspect(
    order: Order, places: Places, installation: Installation, reader: AnyReader, *, rows: int
) -> Facts:
    """Check the order, with up to `rows` rows of each data set. Raises InvalidParams with every fault."""
    inspection = _Inspection(resolved(order, places), places, installation, reader, rows)
    facts = inspection.run()
    if inspection.faults:
        raise InvalidParams(inspection.faults)
    return facts


def confine(order: Order, places: Places) -> Order:
    """Only make paths absolute and keep the results below the roots. Raises InvalidParams."""
    absolute = resolved(order, places)
    faults = _placeholders(order)
    if text := _output_fault(absolute.output_dir, places, output_fault):
        faults.append(Violation("output_dir", text, "PATH_NOT_USABLE"))
    if faults:
        raise InvalidParams(faults)
    return absolute


class _Inspection:
    """Collects the faults of one order, so that a client is told of all at once."""

    def __init__(
        self,
        order: Order,
        places: Places,
        installation: Installation,
        reader: AnyReader,
        rows: int,
    ) -> None:
        self.faults: list[Violation] = []
        self._order, self._places, self._installation = order, places, installation
        self._reader, self._rows = reader, rows

    def run(self) -> Facts:
        """What was learned; only to be used where `faults` stays empty."""
        self.faults += _placeholders(self._order)
        model = self._model()
        identity = self._identity(model)
        dataset = self._dataset(self._order.data_path, "data_path")
        for place, text in enumerate(self._order.params.val_dataset or ()):
            self._dataset(text, self._named(f"val_dataset[{place}]"))
        self._parameters()
        needed = self._output(model)
        return Facts(
            order=self._order,
            model_bytes=model.weights_bytes if model else None,
            identity=identity,
            rows=dataset.rows if dataset else None,
            disk_needed=needed,
        )

    # ---------------------------------------------------------------- model

    def _model(self) -> LocalModel | None:
        return self._model_at(self._order.model_path, "model_path")

    def _model_at(self, text: str, at: str) -> LocalModel | None:
        if not text.startswith("/"):
            self._hub_id(text, at, is_hub_model)
            return None
        model = self._guarded(at, lambda: self._reader.model(text, at))
        self.faults += model.faults if model else ()
        return model

    def _identity(self, model: LocalModel | None) -> Identity | None:
        told = {
            "model_type": self._order.params.model_type or "",
            "template": self._order.params.template or "",
        }
        if model is None:
            self._params(unknown_words(self._installation, **told))
            return None
        found = identify(model.clues, self._installation, **told)
        if isinstance(found, Identity):
            return found
        self._params(found)
        return None

    # ---------------------------------------------------------------- data

    def _dataset(self, text: str, at: str) -> LocalDataset | None:
        path = text if "#" not in text or is_there(text) else split_sample(text)[0]
        if not path.startswith("/"):
            self._hub_id(path, at, is_hub_dataset)
            return None
        media = self._order.params.trainer_type is TrainerType.MLLM
        algorithm = self._order.params.rlhf_type if self._order.method is Method.RLHF else None
        look = Look(need=Need(method=self._order.method, rlhf_type=algorithm), rows=self._rows, media=media)
        dataset = self._guarded(at, lambda: self._reader.dataset(path, at, look))
        self.faults += dataset.faults if dataset else ()
        return dataset

    # ---------------------------------------------------------------- parameters

    def _parameters(self) -> None:
        params, method = self._order.params, self._order.method
        self._params(check_extra_args(self._installation, method, params.extra_args or {}))
        self._params(missing_packages(params, self._installation.packages))
        if params.ref_model:
            self._model_at(params.ref_model, self._named("ref_model"))
        if params.deepspeed and params.deepspeed not in PRESETS:
            configuration = Path(params.deepspeed)
            self._guarded(self._named("deepspeed"), lambda: read_object(configuration))
        if params.resume_from_checkpoint:
            checkpoint = Path(params.resume_from_checkpoint)
            only_model = (params.extra_args or {}).get("resume_only_model", "").lower() == "true"
            at = self._named("resume_from_checkpoint")
            self._guarded(at, lambda: check_checkpoint(checkpoint, only_model=only_model))

    # ---------------------------------------------------------------- results

    def _output(self, model: LocalModel | None) -> int:
        """The bytes that the results will take, 0 where the model's size is not known."""
        path, order = self._order.output_dir, self._order
        if text := _output_fault(path, self._places, self._reader.output_fault):
            self.faults.append(Violation("output_dir", text, "PATH_NOT_USABLE"))
            return 0
        if model is None:
            return 0
        size = model_size(model.weights_bytes, model.clues.config)
        keep = order.keep_optimizer or not order.params.save_only_model
        return disk_needed(size, order.params, keep_optimizer=keep)

    # ---------------------------------------------------------------- how faults are told

    def _named(self, parameter: str) -> str:
        return f"{self._order.at}.{parameter}" if self._order.at else parameter

    def _params(self, faults: list[Violation]) -> None:
        self.faults += placed(self._order.at, faults)

    def _hub_id(self, text: str, at: str, takes: Callable[[str], bool]) -> None:
        if not takes(text):
            fault = "is neither there as a path nor a hub id (owner/name); a path begins with / or ./"
            self.faults.append(Violation(at, fault, "PATH_NOT_USABLE"))

    def _guarded(self, at: str, look: Callable[[], T]) -> T | None:
        """What `look` finds, or None and a fault of the field."""
        try:
            return look()
        except Unreadable as error:
            self.faults.append(in_file(at, error.message, str(error.file), error.line))
        except (OSError, ValueError) as error:
            self.faults.append(Violation(at, _words(error), "PATH_NOT_USABLE"))
        return None


def _placeholders(order: Order) -> list[Violation]:
    paths = {"model_path": order.model_path, "data_path": order.data_path, "output_dir": order.output_dir}
    return [
        Violation(field, f"must not contain {word}, which Swiftlet fills in itself", "PATH_NOT_USABLE")
        for field, path in paths.items()
        if (word := placeholder_in(path))
    ]


def _output_fault(path: str, places: Places, look: Callable[[str, Places], str]) -> str:
    try:
        return look(path, places)
    except (OSError, ValueError) as error:
        return _words(error)


def _words(error: Exception) -> str:
    """A path that is too long, or not readable, in the system's own words."""
    return f"can't be used: {error.strerror if isinstance(error, OSError) else error}"
