"""Reads models and data sets; one that was good and looks as it did is not read again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from swiftletd.training.adapters.preflight.dataset import LocalDataset, Look, read_dataset
from swiftletd.training.adapters.preflight.kept import Kept, NotKept
from swiftletd.training.adapters.preflight.model import LocalModel, read_model

MOST_MEDIA = 1_000
"""Pictures, films and sounds whose being there is looked at without reading the rows again."""


class Reader:
    """Safe to use from several threads."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._models: Kept[LocalModel] = Kept(now_ns)
        self._datasets: Kept[LocalDataset] = Kept(now_ns)

    def model(self, path: Path, at: str) -> LocalModel:
        """As read_model."""
        return self._models.get(str(path), path, lambda: read_model(path, at), _is_good_model)

    def dataset(self, path: Path, at: str, look: Look) -> LocalDataset:
        """As read_dataset."""
        return self._datasets.get(
            (str(path), look),
            path,
            lambda: read_dataset(path, at, look),
            _is_good_dataset,
            _has_its_media,
            depth=1,
        )

    def quick(self) -> QuickReader:
        """A reader that has only what this one has kept."""
        return QuickReader(self._models, self._datasets)


class QuickReader:
    """Reads nothing: raises NotKept for what isn't kept, looks different, or is much to look at."""

    def __init__(self, models: Kept[LocalModel], datasets: Kept[LocalDataset]) -> None:
        self._models, self._datasets = models, datasets

    def model(self, path: Path, at: str) -> LocalModel:
        """As read_model."""
        return self._models.get_quickly(str(path), path)

    def dataset(self, path: Path, at: str, look: Look) -> LocalDataset:
        """As read_dataset."""
        found = self._datasets.get_quickly((str(path), look), path, depth=1)
        if found.media:
            raise NotKept
        return found


AnyReader = Reader | QuickReader


def _is_good_model(model: LocalModel) -> bool:
    return model.plain and not model.faults


def _is_good_dataset(dataset: LocalDataset) -> bool:
    return not dataset.faults and len(dataset.media) <= MOST_MEDIA


def _has_its_media(dataset: LocalDataset) -> bool:
    return all(map(os.path.exists, dataset.media))
