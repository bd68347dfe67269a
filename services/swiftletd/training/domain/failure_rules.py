"""What failures look like in a log. To know a new one, add a line to RULES and a real log to the tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FailureReason(StrEnum):
    """The reasons of swiftlet.error.v1 for which a job can fail."""

    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    DATASET_NOT_FOUND = "DATASET_NOT_FOUND"
    BAD_DATA = "BAD_DATA"
    DISK_FULL = "DISK_FULL"
    COMMUNICATION_FAILED = "COMMUNICATION_FAILED"
    IMPORT_FAILED = "IMPORT_FAILED"
    KILLED = "KILLED"
    HUB_UNREACHABLE = "HUB_UNREACHABLE"
    BAD_PARAMETER = "BAD_PARAMETER"
    TIME_LIMIT = "TIME_LIMIT"
    LOST = "LOST"
    GPU_LOST = "GPU_LOST"
    PROCESS_FAILED = "PROCESS_FAILED"
    LEASE_REVOKED = "LEASE_REVOKED"


@dataclass(frozen=True, slots=True)
class Rule:
    """Fits where each of `patterns` is found; `sentence` may use their named groups."""

    reason: FailureReason
    patterns: tuple[re.Pattern[str], ...]
    sentence: str

    def explain(self, log: str) -> str:
        """The sentence, or nothing where the rule does not fit."""
        matches = [pattern.search(log) for pattern in self.patterns]
        if not all(matches):
            return ""
        found = {
            name: text for match in matches if match for name, text in match.groupdict(default="").items()
        }
        return self.sentence.format_map(
            {name: text[:_MOST].strip().rstrip(".") for name, text in found.items()}
        )


def _rule(reason: FailureReason, pattern: str, sentence: str, *, before: str = "") -> Rule:
    """A rule of one pattern, or of two: `before` is what else the log must have."""
    return Rule(reason, tuple(re.compile(text) for text in (before, pattern) if text), sentence)


_MOST = 300
_LESS_GPU_MEMORY = (
    "Lower batch_size or max_length, set gradient_checkpointing to true, train with lora or quant_bits 4, "
    "or ask for more GPUs."
)
_LESS_MEMORY = "Lower batch_size, max_length or dataloader_num_workers, or use a machine with more memory."
_FREE_PORT = "This passes by itself in most cases; start the job again."
_INSTALL = "Install it in the trainer environment, or leave out the parameter that needs it."

R = FailureReason

# The first rule that fits wins, so causes stand before what follows from them.
RULES: tuple[Rule, ...] = (
    # -- memory
    _rule(
        R.OUT_OF_MEMORY,
        r"CUDA out of memory\. Tried to allocate (?P<size>[\d.]+ \w+)",
        f"The GPU ran out of memory: {{size}} more were needed. {_LESS_GPU_MEMORY}",
    ),
    _rule(
        R.OUT_OF_MEMORY,
        r"CUDA out of memory|cuda\.OutOfMemoryError|torch\.OutOfMemoryError|CUDA error: out of memory"
        r"|CUBLAS_STATUS_ALLOC_FAILED|No available memory for the cache blocks",
        f"The GPU ran out of memory. {_LESS_GPU_MEMORY}",
    ),
    _rule(
        R.OUT_OF_MEMORY,
        r"insufficient shared memory|unable to (?:open|write|mmap).*shared memory|Bus error",
        "The data loaders ran out of shared memory. Set dataloader_num_workers to 0, or give the machine or "
        "container a larger /dev/shm.",
    ),
    _rule(
        R.OUT_OF_MEMORY,
        r"DefaultCPUAllocator: (?:can't|not enough memory)|Cannot allocate memory|std::bad_alloc"
        r"|\bMemoryError\b|Unable to allocate [\d.]+ \w+ for an array",
        f"The machine ran out of memory. {_LESS_MEMORY}",
    ),
    # -- disk
    _rule(
        R.DISK_FULL,
        r"No space left on device|os error 28\b|Disk quota exceeded|os error 122\b",
        "The disk is full. Free some space, lower save_total_limit, or choose an output_dir on another disk.",
    ),
    # -- devices and their network
    _rule(
        R.GPU_LOST,
        r"GPU is lost|has fallen off the bus|uncorrectable (?:NVLink|ECC)|No CUDA GPUs are available"
        r"|CUDA-capable device\(s\) is/are busy|CUDA driver initialization failed",
        "A GPU of the job can't be used any more. Look at it with nvidia-smi; it may need a restart.",
    ),
    _rule(
        R.COMMUNICATION_FAILED,
        r"EADDRINUSE|[Aa]ddress already in use",
        f"A port that the job's processes use among themselves was taken. {_FREE_PORT}",
    ),
    _rule(
        R.COMMUNICATION_FAILED,
        r"ncclSystemError|ncclInternalError|ncclRemoteError|ncclUnhandledCudaError|NCCL error"
        r"|Watchdog caught collective operation timeout",
        "The GPUs could not talk to each other (NCCL). Start the job again; if it comes back, look at the "
        "driver and the links between the GPUs.",
    ),
    _rule(
        R.COMMUNICATION_FAILED,
        r"DistNetworkError|DistStoreError|Gloo connectFullMesh failed|gloo/transport",
        "The job's processes lost each other. Start the job again; if it comes back, look at the first error "
        "of its log.",
    ),
    # -- data
    _rule(
        R.DATASET_NOT_FOUND,
        r"The local path does not exist, dataset_id: `(?P<path>[^`]+)`",
        "The data set {path} is not there. Check data_path and val_dataset.",
    ),
    _rule(
        R.BAD_DATA,
        r"JSON parse error: (?P<why>.+?)\.? in row (?P<row>\d+)",
        "The data set {file} is not valid JSON in row {row}, counted from 0: {why}. Mend the line.",
        before=r"Failed to load JSON from file '(?P<file>[^']+)'",
    ),
    _rule(
        R.BAD_DATA,
        r"DatasetGeneration(?:Cast)?Error",
        "The data set can't be read. Check that every line is one JSON object with the same columns.",
    ),
    _rule(
        R.BAD_DATA,
        r"There are errors in the dataset, the data will be deleted",
        "No row of the data set can be used. Each needs messages with role and content, or a question and an "
        "answer.",
        before=r"ZeroDivisionError",
    ),
    _rule(
        R.BAD_DATA,
        r"TypeError: 'NoneType' object is not iterable",
        "No row of the data set is left: they are longer than max_length, or miss what the method needs "
        "(rejected_response for dpo).",
        before=r"in _show_dataset",
    ),
    _rule(
        R.BAD_DATA,
        r"(?m:^(?:StopIteration|ZeroDivisionError)\b)",
        "The data set is empty, or none of its rows can be used. Check data_path.",
        before=r"in _prepare_dataset|in load_dataset|in _get_dataset",
    ),
    _rule(
        R.BAD_DATA,
        r"cannot identify image file '?(?P<file>[^'\n]+)'?",
        "The image {file} can't be read. Replace it, or take its row out of the data set.",
    ),
    _rule(
        R.BAD_DATA,
        r"No such file or directory: '(?P<file>[^']+\.(?i:png|jpe?g|webp|bmp|gif|mp4|avi|mov|wav|mp3|flac))'",
        "The file {file}, which a row of the data set names, is not there.",
    ),
    # -- model
    _rule(
        R.MODEL_NOT_FOUND,
        r"path: '(?P<path>[^']+/checkpoint-[^']*)'",
        "The checkpoint {path} is not there. Check resume_from_checkpoint.",
    ),
    _rule(
        R.MODEL_NOT_FOUND,
        r"path: '(?P<path>[^']+)' not found"
        r"|(?<!\S)(?P<name>\S{1,200}) does not appear to have a file named config\.json"
        r"|(?<!\S)(?P<id>\S{1,200}) is not a local folder and is not a valid model identifier",
        "The model {path}{name}{id} is not there. Check model_path.",
    ),
    _rule(
        R.MODEL_NOT_FOUND,
        r"RepositoryNotFoundError|(?:model|repo).{0,80}(?:not exist|404 (?:Client Error|Not Found))",
        "The hub has no such model or data set, or it needs a login. Check model_path and data_path.",
    ),
    _rule(
        R.HUB_UNREACHABLE,
        r"NameResolutionError|Max retries exceeded with url|ConnectTimeout|OfflineModeIsEnabled"
        r"|LocalEntryNotFoundError|_DownloadDeadlineError|NetworkError: \[E\d+\]|couldn't connect to 'https?://",
        "The model or data hub can't be reached. Check the network, or use a local copy.",
    ),
    # -- parameters
    _rule(
        R.BAD_PARAMETER,
        r"remaining_argv: (?P<flags>\[.*\])",
        "The installed ms-swift does not know these arguments: {flags}. Check extra_args.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"error: argument (?P<flag>--\w+)\S*: (?P<why>.+)",
        "ms-swift refused {flag}: {why}.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"Failed to automatically match `(?P<what>model_type|template)(?:_type)?` for `(?P<path>[^`]+)`",
        "ms-swift can't tell the {what} of {path}. Set the parameter {what}.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"(?P<what>template|model)_type: '(?P<word>[^']+)' not in \[",
        "ms-swift knows no {what} type '{word}'. Check the parameters model_type and template.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"Unknown tuner_type: (?P<word>\S+)",
        "ms-swift knows no train_type '{word}'.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"Target modules (?P<names>.+?) not found in the base model",
        "The model has no modules {names}. Check target_modules; all-linear always fits.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"reward_function (?P<name>\S+) is not implemented",
        "ms-swift has no reward function '{name}'. Check reward_funcs.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"feature requires a flash attention implementation",
        "packing needs flash attention. Set attn_impl to flash_attn, or leave packing out.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"Your setup doesn't support bf16/gpu",
        "The devices of the job can't train in bfloat16. Set torch_dtype to float16 or float32.",
    ),
    _rule(
        R.BAD_PARAMETER,
        r"(?:NotADirectoryError|PermissionError|Read-only file system).*?'(?P<path>[^']+)'",
        "{path} can't be written. Choose another output_dir.",
    ),
    # -- the trainer environment
    _rule(
        R.IMPORT_FAILED,
        r"No module named '(?P<name>[^']+)'|The '(?P<dist>[^']+)' distribution was not found",
        f"The trainer environment has no package '{{name}}{{dist}}'. {_INSTALL}",
    ),
    _rule(
        R.IMPORT_FAILED,
        r"ImportError: (?P<why>.+)",
        f"A package of the trainer environment is missing or broken: {{why}}. {_INSTALL}",
    ),
    _rule(
        R.IMPORT_FAILED,
        r"(?:undefined symbol|cannot open shared object file|operator \S+ does not exist)",
        "The packages of the trainer environment do not fit each other. Install it anew.",
    ),
    # -- ranks of torchrun
    _rule(
        R.KILLED,
        r"Root Cause.*\n(?:.*\n){0,6}? *exitcode *: -\d+ .*\((?P<signal>SIG(?:KILL|TERM|INT|HUP))\)",
        "One of the job's processes was ended from outside ({signal}). If nobody did it, the machine ran "
        "out of memory: lower batch_size or dataloader_num_workers.",
    ),
)
