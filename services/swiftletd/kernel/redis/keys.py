"""The streams through which the parts of the suite hear of each other."""

from __future__ import annotations

TRAINING_EVENTS = "swiftlet:{training}:events"
DEPLOY_EVENTS = "swiftlet:{deploy}:events"
GPU_EVENTS = "swiftlet:{gpu}:events"
RUN_EVENTS = "swiftlet:{runs}:events"
RUN_TAIL = "swiftlet:{runs}:tail"
