"""Flags that a client passes on to ms-swift."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain.extra_args import REFUSED, check_extra_args, many_flags
from swiftletd.training.domain.needs import missing_packages
from swiftletd.training.domain.params import Method, TrainerType, parse_params
from unit.training.installations import INSTALLATION


def faults(**extra: str) -> dict[str, str]:
    found = check_extra_args(INSTALLATION, Method.SFT, extra)
    return {fault.field.removeprefix("extra_args."): fault.message for fault in found}


def test_flags_of_the_installed_version_are_taken():
    assert not faults(max_grad_norm="0.5", use_liger_kernel="true", modules_to_save="a b", data_seed="7")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_grad_nrom", "1", "is not a flag of ms-swift 4.6.0. Did you mean 'max_grad_norm'?"),
        ("max_grad_norm", "much", "must be a number (got 'much')"),
        ("data_seed", "1.5", "must be a whole number (got '1.5')"),
        ("use_liger_kernel", "perhaps", "must be true or false (got 'perhaps')"),
        ("truncation_strategy", "lift", "must be delete, left or right (got 'lift'). Did you mean 'left'?"),
        ("lora_rank", "4", "is set with the parameter 'lora_rank'; leave it out here"),
        ("num_train_epochs", "4", "is set with the parameter 'num_epochs'; leave it out here"),
        ("output_dir", "/x", "is set from output_dir, below which each job has a directory of its own"),
        ("external_plugins", "x.py", "runs code from a file, which a request may not; leave it out"),
        ("hub_token", "x", "is a secret"),
    ],
)
def test_what_is_refused_and_why(name: str, value: str, says: str):
    assert says in faults(**{name: value})[name]


def test_no_refused_flag_gets_through_whatever_its_value():
    assert faults(**dict.fromkeys(REFUSED, "true")).keys() == REFUSED.keys()


def test_flags_that_take_several_words():
    assert many_flags(INSTALLATION, Method.SFT) == {"modules_to_save", "external_plugins"}


@given(extra=st.dictionaries(st.text(), st.text()))
def test_any_map_is_judged(extra: dict[str, str]):
    assert len(check_extra_args(INSTALLATION, Method.RLHF, extra)) <= len(extra)


@pytest.mark.parametrize(
    ("raw", "field", "package"),
    [
        ({"deepspeed": "zero2"}, "deepspeed", "deepspeed"),
        ({"quant_bits": 4}, "quant_bits", "bitsandbytes"),
        ({"quant_bits": 2, "quant_method": "hqq"}, "quant_bits", "hqq"),
        ({"attn_impl": "flash_attn"}, "attn_impl", "flash_attn"),
        ({"report_to": ["tensorboard", "wandb"]}, "report_to", "wandb"),
    ],
)
def test_packages_that_a_parameter_needs(raw: dict[str, object], field: str, package: str):
    (fault,) = missing_packages(parse_params(TrainerType.LLM, Method.SFT, raw), INSTALLATION.packages)

    assert fault.field == field
    assert f"'{package}'" in fault.message


def test_the_defaults_need_nothing_more():
    assert missing_packages(parse_params(TrainerType.LLM, Method.SFT, {}), frozenset()) == []
