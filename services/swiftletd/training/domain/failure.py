"""The failure doctor: from the last part of a log to a sentence with cause and remedy."""

from __future__ import annotations

import re
import signal as signals
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from swiftletd.training.domain.failure_rules import RULES, FailureReason

__all__ = ["RETRY", "Diagnosis", "FailureReason", "Retry", "diagnose"]

_NAMES: Mapping[int, str] = {number.value: number.name for number in signals.Signals}
_TAIL = 256 * 1024
_MOST = 300
_FROM_OUTSIDE = frozenset({signals.SIGKILL, signals.SIGTERM, signals.SIGINT, signals.SIGHUP})
# What the runner, a terminal and torchrun put before a line's own text.
_PREFIX = re.compile(r"^(?:\S+Z [OES] )?(?:\x1b\[[0-9;]*m)*(?:\[rank\d+\]: ?)?", re.MULTILINE)
# Errors that only say that there was another one before them.
_WRAPPER = re.compile(r"ChildFailedError|DatasetGenerationError")
# Lines of source text in a traceback, which hold the words of errors that did not happen.
_SOURCE = re.compile(r"^ {4,}.*\n?", re.MULTILINE)
_ERROR_LINE = re.compile(
    r"^(?:[A-Za-z_][\w.]*\.)?[A-Za-z_]*(?:Error|Exception|Interrupt|Exit|Iteration)\b.*", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a process failed: a code of swiftlet.error.v1, and cause and remedy in words."""

    reason: FailureReason
    sentence: str


class Retry(Enum):
    """Whether another attempt can end better."""

    AGAIN = "again"
    WITH_CHANGE = "with a change"
    NEVER = "never"


RETRY: Mapping[FailureReason, Retry] = MappingProxyType(
    {
        FailureReason.LOST: Retry.AGAIN,
        FailureReason.GPU_LOST: Retry.AGAIN,
        FailureReason.KILLED: Retry.AGAIN,
        FailureReason.COMMUNICATION_FAILED: Retry.AGAIN,
        FailureReason.HUB_UNREACHABLE: Retry.AGAIN,
        FailureReason.LEASE_REVOKED: Retry.AGAIN,
        FailureReason.OUT_OF_MEMORY: Retry.WITH_CHANGE,
        FailureReason.MODEL_NOT_FOUND: Retry.NEVER,
        FailureReason.DATASET_NOT_FOUND: Retry.NEVER,
        FailureReason.BAD_DATA: Retry.NEVER,
        FailureReason.DISK_FULL: Retry.NEVER,
        FailureReason.IMPORT_FAILED: Retry.NEVER,
        FailureReason.BAD_PARAMETER: Retry.NEVER,
        FailureReason.TIME_LIMIT: Retry.NEVER,
        FailureReason.PROCESS_FAILED: Retry.NEVER,
    }
)


def diagnose(log_tail: str, exit_code: int | None, signal: int | None) -> Diagnosis:
    """The cause of a failure, from the end of its log and the way in which it ended.

    `exit_code` and `signal` are those of the process itself; a negative exit code counts as a signal.
    Only the last 256 KiB of the log are looked at, with or without the runner's line prefixes.
    """
    number = signal or (-exit_code if exit_code is not None and exit_code < 0 else 0)
    if number in _FROM_OUTSIDE:
        return Diagnosis(FailureReason.KILLED, _killed(number))
    text = _SOURCE.sub("", _PREFIX.sub("", log_tail[-_TAIL:].replace("\r", "\n")))
    errors = [error for error in _ERROR_LINE.findall(text) if not _WRAPPER.search(error)]
    # The last error is what ended the process; what else the log has may have been survived.
    for part in (*errors[-1:], text):
        for rule in RULES:
            if sentence := rule.explain(part):
                return Diagnosis(rule.reason, sentence)
    return Diagnosis(FailureReason.PROCESS_FAILED, _unknown(text, errors, exit_code, number))


def _killed(number: int) -> str:
    name = _NAMES[number]
    if number == signals.SIGKILL:
        return (
            f"The process was ended from outside ({name}). If nobody did it, the machine ran out of memory: "
            "lower batch_size or dataloader_num_workers."
        )
    return f"The process was ended from outside ({name}). Start the job again."


def _unknown(text: str, errors: list[str], exit_code: int | None, number: int) -> str:
    """The last error of the log, or its last line, as it is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    what = (
        f"Its last error: {errors[-1][:_MOST]}"
        if errors
        else f"Its last line: {lines[-1][:_MOST] if lines else ''}"
    )
    return f"The process {_ending(exit_code, number)}. {what if errors or lines else 'It printed nothing.'}"


def _ending(exit_code: int | None, number: int) -> str:
    if number:
        return f"crashed with {_NAMES.get(number, f'signal {number}')}"
    if exit_code == 0:
        return "ended before the training was complete"
    return "is gone" if exit_code is None else f"ended with exit code {exit_code}"
