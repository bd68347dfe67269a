"""Reads models and data sets; one that was good and looks as it did is not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from swiftletd.training.adapters.preflight.dataset import LocalDataset, Look, read_dataset
from swiftletd.training.adapters.preflight.kept import Kept, NotKept
from swiftletd.training.adapters.preflight.model import LocalModel, read_model
from swiftletd.training.adapters.preflight.moment import Moment
from swiftletd.training.adapters.preflight.output import output_fault
from swiftletd.training.adapters.preflight.places import Places

MOST_MEDIA = 1_000
"""Pictures, films and sounds whose being there is looked at without reading the rows again."""


class Reader:
    """Safe to use from several threads."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._models: Kept[LocalModel] = Kept(now_ns)
        self._datasets: Kept[LocalDataset] = Kept(now_ns)
        self.quick = QuickReader(self._models, self._datasets)

    def model(self, text: str, at: str) -> LocalModel:
        """As read_model."""
        path = Path(text)
        return self._models.get(text, path, lambda: read_model(path, at), _is_good_model)

    def dataset(self, text: str, at: str, look: Look) -> LocalDataset:
        """As read_dataset."""
        path = Path(text)
        return self._datasets.get(
            (text, look),
            path,
            lambda: read_dataset(path, at, look),
            _is_good_dataset,
            _has_its_media,
            depth=1,
        )

    def output_fault(self, path: str, places: Places) -> str:
        """As output_fault."""
        return output_fault(path, places)


class QuickReader:
    """Has only what a reader has kept: raises NotKept for what isn't, looks different, or is much to look at.

    For one event loop. What was good is good for a moment, without another look.
    """

    def __init__(self, models: Kept[LocalModel], datasets: Kept[LocalDataset]) -> None:
        self._models, self._datasets, self._moment = models, datasets, Moment()

    def model(self, text: str, at: str) -> LocalModel:
        """As read_model."""
        return self._moment.ask(text, lambda: self._models.get_quickly(text, Path(text)), _is_good_model)

    def dataset(self, text: str, at: str, look: Look) -> LocalDataset:
        """As read_dataset."""
        return self._moment.ask((text, look), lambda: self._dataset(text, look), _is_good_dataset)

    def _dataset(self, text: str, look: Look) -> LocalDataset:
        found = self._datasets.get_quickly((text, look), Path(text), depth=1)
        if found.media:
            raise NotKept
        return found

    def output_fault(self, path: str, places: Places) -> str:
        """As output_fault."""
        return self._moment.ask((path, places), lambda: output_fault(path, places), lambda fault: not fault)


AnyReader = Reader | QuickReader


def _is_good_model(model: LocalModel) -> bool:
    return model.plain and not model.faults


def _is_good_dataset(dataset: LocalDataset) -> bool:
    return not dataset.faults and len(dataset.media) <= MOST_MEDIA


def _has_its_media(dataset: LocalDataset) -> bool:
    return all(map(os.path.exists, dataset.media))
