"""`extra_args`: flags for ms-swift that Swiftlet has no parameter for, checked before anything is queued."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from swiftletd.training.domain.installation import Flag, Installation, Kind
from swiftletd.training.domain.param_catalogue import swiftlet_flags
from swiftletd.training.domain.param_fields import Method
from swiftletd.training.domain.violations import Violation, did_you_mean, one_of, shown

_SECRET = "is a secret and would be seen in logs; set it in the environment of the services"  # noqa: S105
_CODE = "runs code from a file, which a request may not"
_OWN = "is decided by Swiftlet"

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "model": "is set from model_path",
        "dataset": "is set from data_path",
        "output_dir": "is set from output_dir, below which each job has a directory of its own",
        "add_version": _OWN,
        "check_model": _OWN,
        "use_cpu": "follows from the devices that the job gets",
        "fp16": "follows from torch_dtype",
        "bf16": "follows from torch_dtype",
        "train_type": "is the parameter train_type",
        "tuner_type": "is the parameter train_type",
        "enable_jit_checkpoint": _OWN,
        "create_checkpoint_symlink": "is not needed: the job names its last checkpoint",
        "ignore_args_error": "would hide mistakes",
        "local_rank": _OWN,
        "logging_dir": "is decided by Swiftlet, which reads the files there",
        "use_ray": "would start processes past the queue",
        "device_groups": "would start processes past the queue",
        "external_plugins": _CODE,
        "custom_register_path": _CODE,
        "hub_token": _SECRET,
        "swanlab_token": _SECRET,
        "swanlab_secret": _SECRET,
        "swanlab_webhook_url": _SECRET,
    }
)
_TRUTHS = frozenset({"true", "false", "yes", "no", "t", "f", "y", "n", "1", "0"})


def check_extra_args(
    installation: Installation, method: Method, extra_args: Mapping[str, str], *, at: str = "extra_args"
) -> list[Violation]:
    """Every name or value that the installed ms-swift or Swiftlet would not take."""
    flags = installation.flags[method]
    faults = ((name, _fault(installation.version, flags, name, value)) for name, value in extra_args.items())
    return [Violation(field=f"{at}.{name}", message=text) for name, text in faults if text]


def many_flags(installation: Installation, method: Method) -> frozenset[str]:
    """The flags that take several words, for TrainingTask.many."""
    return frozenset(flag.name for flag in installation.flags[method].values() if flag.many)


def _fault(version: str, flags: Mapping[str, Flag], name: str, value: str) -> str:
    if name in REFUSED:
        return f"{REFUSED[name]}; leave it out"
    if ours := swiftlet_flags().get(name):
        return f"is set with the parameter '{ours}'; leave it out here"
    if name not in flags:
        return f"is not a flag of ms-swift {version}.{did_you_mean(name, flags)}"
    flag = flags[name]
    words = value.split() if flag.many else [value]
    return next((text for word in words if (text := _word_fault(flag, word))), "")


def _word_fault(flag: Flag, word: str) -> str:
    if flag.choices and word not in flag.choices:
        return f"must be {one_of(flag.choices)} (got {shown(word)}).{did_you_mean(word, flag.choices)}"
    takes, what = _TAKES[flag.kind]
    return "" if takes(word) else f"must be {what} (got {shown(word)})"


def _parses(convert: Callable[[str], object]) -> Callable[[str], bool]:
    def takes(word: str) -> bool:
        try:
            convert(word)
        except ValueError:
            return False
        return True

    return takes


_TAKES: Mapping[Kind, tuple[Callable[[str], bool], str]] = {
    Kind.TEXT: (lambda _: True, "a text"),
    Kind.INT: (_parses(int), "a whole number"),
    Kind.FLOAT: (_parses(float), "a number"),
    Kind.BOOL: (lambda word: word.lower() in _TRUTHS, "true or false"),
}
