"""Reading flags and models out of sources: on a small tree that is laid out as ms-swift 4 is."""

from __future__ import annotations

from pathlib import Path

import pytest

from swiftletd.training.adapters.swift_schema import SwiftSchema, TrainerMissing, find_site_packages
from swiftletd.training.domain.installation import Flag, Kind

SOURCES = {
    "ms_swift-4.6.0.dist-info/METADATA": "",
    "transformers-5.19.0.dist-info/METADATA": "",
    "flash_attn-2.8.dist-info/METADATA": "",
    "transformers/training_args.py": """
class TrainingArguments:
    learning_rate: float = field(default=5e-5, metadata={"help": "x"})
    save_only_model: bool = False
    hidden: str = field(init=False)
    shared: ClassVar[int] = 3
""",
    "swift/trainers/arguments.py": """
from transformers import TrainingArguments as HfArguments
class TrainArgumentsMixin:
    report_to: List[str] = field(default_factory=lambda: ['tensorboard'])
    learning_rate: int = 1
class TrainingArguments(TrainArgumentsMixin, HfArguments):
    vit_lr: Optional[float] = None
""",
    "swift/arguments/sft_args.py": """
class BaseArguments:
    torch_dtype: Literal['bfloat16', 'float32', None] = None
    model_kwargs: Optional[Union[dict, str]] = None
    loss_type: list[str] | None = None
class SftArguments(BaseArguments, TrainingArguments):
    learning_rate: Optional[float] = None
class PretrainArguments(SftArguments):
    save_only_model: bool = field(init=False)
""",
    "swift/model/constant.py": """
class LLMModelType:
    qwen3 = 'qwen3'
class MLLMModelType:
    llava = 'llava1_5_hf'
""",
    "swift/template/constant.py": "class LLMTemplateType:\n    qwen3 = 'qwen3'\n    r1 = 'deepseek_r1'\n",
    "swift/model/models/qwen.py": """
register_model(
    ModelMeta(
        LLMModelType.qwen3,
        [ModelGroup([Model('Qwen/Qwen3-8B', 'Qwen/Qwen3-8B')], TemplateType.qwen3),
         ModelGroup([Model('deepseek-ai/R1-8B')], TemplateType.r1)],
        architectures=['Qwen3ForCausalLM']))
register_model(ModelMeta(MLLMModelType.llava, [], template=TemplateType.qwen3))
""",
}


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The Python of an environment that holds the sources."""
    site_packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, text in SOURCES.items():
        path = site_packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    return tmp_path / "bin" / "python"


def test_flags_with_their_kinds(python: Path):
    flags = SwiftSchema(python).installation().flags["sft"]

    assert flags == {
        flag.name: flag
        for flag in (
            Flag(name="learning_rate", kind=Kind.FLOAT, default="None"),
            Flag(name="save_only_model", kind=Kind.BOOL, default="False"),
            Flag(name="report_to", many=True, default="['tensorboard']"),
            Flag(name="vit_lr", kind=Kind.FLOAT, default="None"),
            Flag(name="torch_dtype", choices=("bfloat16", "float32"), default="None"),
            Flag(name="model_kwargs", default="None"),
            Flag(name="loss_type", many=True, default="None"),
        )
    }


def test_a_field_that_is_not_an_argument_takes_the_inherited_flag_away(python: Path):
    assert "save_only_model" not in SwiftSchema(python).installation().flags["pt"]


def test_models_and_templates(python: Path):
    installation = SwiftSchema(python).installation()

    assert installation.templates == {"qwen3", "deepseek_r1"}
    qwen3 = installation.model_types["qwen3"]
    assert qwen3.models == {"qwen3-8b": "qwen3", "r1-8b": "deepseek_r1"}
    assert (qwen3.architectures, qwen3.templates) == (("Qwen3ForCausalLM",), ("qwen3", "deepseek_r1"))
    assert installation.model_types["llava1_5_hf"].multimodal


def test_version_and_packages(python: Path):
    installation = SwiftSchema(python).installation()

    assert installation.version == "4.6.0"
    assert installation.packages == {"ms_swift", "transformers", "flash_attn"}


def test_what_was_read_is_kept_on_disk(python: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    first = SwiftSchema(python, cache).installation()
    (find_site_packages(python) / "swift/arguments/sft_args.py").write_text("not python at all (")

    assert SwiftSchema(python, cache).installation() == first


def test_a_damaged_cache_is_read_anew(python: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    first = SwiftSchema(python, cache).installation()
    (kept,) = cache.iterdir()
    kept.write_text("{")

    assert SwiftSchema(python, cache).installation() == first


def test_another_version_is_noticed(python: Path):
    schema = SwiftSchema(python, look_again=0)
    schema.installation()
    site_packages = find_site_packages(python)
    (site_packages / "ms_swift-4.6.0.dist-info").rename(site_packages / "ms_swift-4.7.0.dist-info")

    assert schema.installation().version == "4.7.0"


def test_sources_that_can_not_be_read(python: Path):
    (find_site_packages(python) / "swift/arguments/sft_args.py").write_text("class (")

    with pytest.raises(TrainerMissing, match="can't be read"):
        SwiftSchema(python).installation()


def test_an_environment_without_ms_swift(python: Path):
    site_packages = find_site_packages(python)
    (site_packages / "ms_swift-4.6.0.dist-info").rename(site_packages / "other-4.6.0.dist-info")

    with pytest.raises(TrainerMissing, match="not installed"):
        SwiftSchema(python).installation()


def test_no_python_at_all(tmp_path: Path):
    with pytest.raises(TrainerMissing, match="TRAINER_PYTHON"):
        SwiftSchema(tmp_path / "bin" / "python").installation()
