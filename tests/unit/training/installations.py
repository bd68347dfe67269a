"""A small installation of ms-swift, as the schema adapter would have read it."""

from __future__ import annotations

from swiftletd.training.domain.installation import Flag, Installation, Kind, ModelType

FLAGS = {
    flag.name: flag
    for flag in (
        Flag(name="lora_rank", kind=Kind.INT),
        Flag(name="max_grad_norm", kind=Kind.FLOAT),
        Flag(name="use_liger_kernel", kind=Kind.BOOL),
        Flag(name="modules_to_save", many=True),
        Flag(name="loss_scale"),
        Flag(name="truncation_strategy", choices=("delete", "left", "right")),
        Flag(name="data_seed", kind=Kind.INT),
        Flag(name="external_plugins", many=True),
        Flag(name="output_dir"),
    )
}
QWEN3 = ModelType(
    name="qwen3",
    architectures=("Qwen3ForCausalLM",),
    models={"qwen3-0.6b": "qwen3", "deepseek-r1-0528-qwen3-8b": "deepseek_r1"},
)
QWEN3_EMB = ModelType(
    name="qwen3_emb",
    template="qwen3_emb",
    architectures=("Qwen3ForCausalLM",),
    models={"qwen3-embedding": ""},
)
LLAVA = ModelType(
    name="llava1_5_hf",
    template="llava1_5_hf",
    architectures=("LlavaForConditionalGeneration",),
    models={"llava-1.5-7b-hf": ""},
    multimodal=True,
)
INSTALLATION = Installation(
    version="4.6.0",
    flags={"sft": FLAGS, "pt": FLAGS, "rlhf": FLAGS},
    model_types={kind.name: kind for kind in (QWEN3, QWEN3_EMB, LLAVA)},
    templates=frozenset({"qwen3", "deepseek_r1", "qwen3_emb", "llava1_5_hf"}),
    packages=frozenset({"torch", "tensorboard", "msgspec"}),
)
