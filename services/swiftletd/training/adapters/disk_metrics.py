"""How full the disks are, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from swiftletd.training.storage import Storage


class DiskMetrics(Collector):
    """Reads what the last measurement found whenever Prometheus asks."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def register(self) -> None:
        """Show it at /metrics/training."""
        REGISTRY.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        standing = self._storage.standing()
        used = GaugeMetricFamily("swiftlet_disk_used_bytes", "Used bytes of a disk.", labels=["path"])
        total = GaugeMetricFamily("swiftlet_disk_total_bytes", "Bytes of a disk.", labels=["path"])
        high = GaugeMetricFamily(
            "swiftlet_disk_high", "1 if it is fuller than DISK_HIGH_WATER.", labels=["path"]
        )
        for level in standing.levels:
            used.add_metric([level.name], level.used)
            total.add_metric([level.name], level.total)
            high.add_metric([level.name], level.high)
        yield from (used, total, high)
        yield GaugeMetricFamily(
            "swiftlet_outputs_bytes", "What the results of all jobs take.", standing.outputs
        )
        yield GaugeMetricFamily(
            "swiftlet_outputs_promised_bytes", "What jobs may still write.", standing.promised
        )
