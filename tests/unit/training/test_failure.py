"""The failure doctor on logs of real ms-swift 4.6 processes that were made to fail (fixtures/failures)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain.failure import RETRY, FailureReason, Retry, diagnose

FAILURES = Path(__file__).parent / "fixtures" / "failures"

EXPECTED = {
    "all_too_long": ("BAD_DATA", "longer than max_length"),
    "bad_tuner": ("BAD_PARAMETER", "no train_type 'nope'"),
    "bad_value": ("BAD_PARAMETER", "--learning_rate: invalid float value: 'abc'"),
    "broken_json": ("BAD_DATA", "/srv/work/bad/broken.jsonl is not valid JSON in row 1"),
    "dataset_missing": ("DATASET_NOT_FOUND", "/nope/train.jsonl is not there"),
    "deepspeed_missing": ("IMPORT_FAILED", "'deepspeed'"),
    "disk_full": ("DISK_FULL", "Free some space"),
    "dpo_rows": ("BAD_DATA", "rejected_response"),
    "empty_dataset": ("BAD_DATA", "The data set is empty"),
    "flash_attention_missing": ("IMPORT_FAILED", "FlashAttention2"),
    "grpo_reward": ("BAD_PARAMETER", "no reward function 'nope'"),
    "hub_dataset": ("HUB_UNREACHABLE", "Check the network"),
    "hub_model": ("HUB_UNREACHABLE", "Check the network"),
    "image_missing": ("BAD_DATA", ".png, which a row of the data set names, is not there"),
    "killed": ("KILLED", "SIGKILL"),
    "model_missing": ("MODEL_NOT_FOUND", "/nope/model is not there"),
    "model_type_unknown": ("BAD_PARAMETER", "Set the parameter model_type"),
    "no_gpu_bf16": ("BAD_PARAMETER", "torch_dtype"),
    "no_messages": ("BAD_DATA", "No row of the data set can be used"),
    "not_a_trainer": ("IMPORT_FAILED", "'swift'"),
    "null_content": ("BAD_DATA", "No row of the data set can be used"),
    "out_of_memory_cpu": ("OUT_OF_MEMORY", "The machine ran out of memory"),
    "output_not_writable": ("BAD_PARAMETER", "/srv/work/data/train.jsonl/x can't be written"),
    "packing": ("BAD_PARAMETER", "attn_impl"),
    "port_busy": ("COMMUNICATION_FAILED", "A port"),
    "quantisation_missing": ("IMPORT_FAILED", "bitsandbytes"),
    "rank_killed": ("KILLED", "SIGKILL"),
    "resume_missing": ("MODEL_NOT_FOUND", "/nope/checkpoint-20 is not there"),
    "target_modules": ("BAD_PARAMETER", "nope_proj"),
    "template_unknown": ("BAD_PARAMETER", "Set the parameter template"),
    "template_wrong": ("BAD_PARAMETER", "no template type 'nope'"),
    "terminated": ("KILLED", "SIGTERM"),
    "unknown_flag": ("BAD_PARAMETER", "--lora_rnk"),
    "unknown_role": ("BAD_DATA", "No row of the data set can be used"),
}


def log_of(name: str) -> tuple[int, str]:
    head, log = (FAILURES / f"{name}.txt").read_text("utf-8").split("\n", 1)
    return int(head.removeprefix("exit code ")), log


def test_every_log_has_its_expectation():
    assert {path.stem for path in FAILURES.glob("*.txt")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_failure_is_told_by_its_cause(name: str):
    exit_code, log = log_of(name)

    found = diagnose(log, exit_code, None)

    reason, words = EXPECTED[name]
    assert found.reason == reason
    assert words in found.sentence


@pytest.mark.parametrize("name", EXPECTED)
def test_the_runners_line_prefixes_change_nothing(name: str):
    exit_code, log = log_of(name)
    prefixed = "\n".join(f"2026-01-01T00:00:00.000Z E {line}" for line in log.split("\n"))

    assert diagnose(prefixed, exit_code, None) == diagnose(log, exit_code, None)


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        # No GPU was at hand: these lines follow the form in which PyTorch and NCCL write them.
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has",
            "OUT_OF_MEMORY",
            "2.00 GiB more were needed",
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling",
            "OUT_OF_MEMORY",
            "quant_bits 4",
        ),
        (
            "torch.distributed.DistBackendError: NCCL error in: x.cpp:77, ncclSystemError",
            "COMMUNICATION_FAILED",
            "NCCL",
        ),
        ("RuntimeError: No CUDA GPUs are available", "GPU_LOST", "nvidia-smi"),
        (
            "RuntimeError: DataLoader worker (pid 7) is killed by signal: Bus error.",
            "OUT_OF_MEMORY",
            "/dev/shm",
        ),
    ],
)
def test_failures_of_gpus(line: str, reason: str, words: str):
    found = diagnose(f"Traceback (most recent call last):\n{line}\n", 1, None)

    assert found.reason == reason
    assert words in found.sentence


def test_a_signal_from_outside_outweighs_the_log():
    assert diagnose("No space left on device", None, signal.SIGKILL).reason is FailureReason.KILLED


def test_what_was_survived_is_not_the_cause():
    log = "OSError: No space left on device\nwent on\nValueError: path: '/m' not found\nTrain: 10%"

    assert diagnose(log, 1, None).reason is FailureReason.MODEL_NOT_FOUND


def test_an_unknown_failure_is_told_in_its_own_words():
    found = diagnose("Train: 3%\nmy.own.OddError: seventeen\n  0%|  | 0/3\n", 1, None)

    assert found.reason is FailureReason.PROCESS_FAILED
    assert found.sentence == "The process ended with exit code 1. Its last error: my.own.OddError: seventeen"


@pytest.mark.parametrize(
    ("log", "exit_code", "sentence"),
    [
        ("", 1, "The process ended with exit code 1. It printed nothing."),
        ("hello\n", 0, "The process ended before the training was complete. Its last line: hello"),
        ("hello\n", -11, "The process crashed with SIGSEGV. Its last line: hello"),
        ("", None, "The process is gone. It printed nothing."),
    ],
)
def test_a_failure_without_an_error(log: str, exit_code: int | None, sentence: str):
    assert diagnose(log, exit_code, None).sentence == sentence


def test_every_reason_is_in_the_table_of_retries():
    assert set(RETRY) == set(FailureReason)
    assert RETRY[FailureReason.KILLED] is Retry.AGAIN
    assert RETRY[FailureReason.OUT_OF_MEMORY] is Retry.WITH_CHANGE
    assert RETRY[FailureReason.BAD_DATA] is Retry.NEVER


@given(log=st.text(), exit_code=st.none() | st.integers(-200, 300), number=st.none() | st.integers(0, 200))
def test_any_log_gives_a_sentence(log: str, exit_code: int | None, number: int | None):
    assert diagnose(log, exit_code, number).sentence
