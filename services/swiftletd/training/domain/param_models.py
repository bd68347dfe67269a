"""Training parameters: the single source of names, defaults, ranges, ms-swift flags and documentation."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from swiftletd.training.domain.param_fields import (
    Attention,
    Dtype,
    Epochs,
    Name,
    OneOrMore,
    PathText,
    QuantMethod,
    Rate,
    Reporter,
    Reward,
    Rlhf,
    RlhfType,
    Scheduler,
    Steps,
    Text,
    TrainerType,
    Tuner,
    swift,
)

DPO, GRPO = RlhfType.DPO, RlhfType.GRPO


class BaseTrainingParams(BaseModel):
    """What every training has. A field whose default is None is left to ms-swift."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())
    trainer_type: ClassVar[TrainerType]

    num_epochs: Annotated[
        Epochs, swift("num_train_epochs"), Field(description="How often the data set is gone through.")
    ] = 1
    batch_size: Annotated[
        int,
        swift("per_device_train_batch_size", "per_device_eval_batch_size"),
        Field(ge=1, le=4096, description="Samples per device and step."),
    ] = 1
    learning_rate: Annotated[
        Rate,
        swift("learning_rate"),
        Field(description="Peak learning rate; for full-parameter training use about 1e-5."),
    ] = 1e-4
    gradient_accumulation_steps: Annotated[
        int,
        swift("gradient_accumulation_steps"),
        Field(ge=1, le=10_000, description="Batches whose gradients are added up before one optimizer step."),
    ] = 4
    eval_steps: Annotated[
        Steps,
        swift("eval_steps"),
        Field(description="Steps between evaluations; in effect with val_dataset or split_dataset_ratio."),
    ] = 100
    save_steps: Annotated[Steps, swift("save_steps"), Field(description="Steps between checkpoints.")] = 100
    save_total_limit: Annotated[
        int,
        swift("save_total_limit"),
        Field(ge=1, le=1000, description="Checkpoints kept; older ones are deleted."),
    ] = 2
    logging_steps: Annotated[
        Steps, swift("logging_steps"), Field(description="Steps between loss values.")
    ] = 5
    max_length: Annotated[
        int, swift("max_length"), Field(ge=1, le=4_194_304, description="Longest sample in tokens.")
    ] = 2048
    warmup_ratio: Annotated[
        float,
        swift("warmup_ratio"),
        Field(
            ge=0, le=1, allow_inf_nan=False, description="Part of the steps in which the learning rate rises."
        ),
    ] = 0.05
    dataloader_num_workers: Annotated[
        int, swift("dataloader_num_workers"), Field(ge=0, le=256, description="Processes that load batches.")
    ] = 4
    dataset_num_proc: Annotated[
        int,
        swift("dataset_num_proc"),
        Field(ge=1, le=256, description="Processes that prepare the data set."),
    ] = 4
    save_only_model: Annotated[
        bool,
        swift("save_only_model"),
        Field(description="Checkpoints without optimizer state: smaller, but a resume starts it over."),
    ] = True
    torch_dtype: Annotated[
        Dtype, swift("torch_dtype"), Field(description="Number format of the weights.")
    ] = "bfloat16"
    train_type: Annotated[
        Tuner,
        swift("tuner_type"),
        Field(description="How the weights are changed; `tuner_type` is another name for it."),
    ] = "lora"
    lora_rank: Annotated[
        int, swift("lora_rank"), Field(ge=1, le=4096, description="Rank of the LoRA matrices.")
    ] = 16
    lora_alpha: Annotated[
        int, swift("lora_alpha"), Field(ge=1, le=65_536, description="Scale of the LoRA update.")
    ] = 32

    max_steps: Annotated[
        Steps | None,
        swift("max_steps"),
        Field(description="Stop after so many steps, whatever num_epochs says."),
    ] = None
    val_dataset: Annotated[
        Annotated[tuple[PathText, ...], Field(min_length=1, max_length=64), OneOrMore] | None,
        swift("val_dataset"),
        Field(description="Data sets to evaluate on: local paths or hub ids."),
    ] = None
    split_dataset_ratio: Annotated[
        float,
        swift("split_dataset_ratio"),
        Field(
            ge=0,
            lt=1,
            allow_inf_nan=False,
            description="Part of the data set that is set aside to evaluate on.",
        ),
    ] = 0.0
    model_type: Annotated[
        Name | None,
        swift("model_type"),
        Field(description="ms-swift's name of the architecture, where it can't tell."),
    ] = None
    template: Annotated[
        Name | None,
        swift("template"),
        Field(description="ms-swift's name of the chat template, where it can't tell."),
    ] = None
    system: Annotated[
        Text | None,
        swift("system"),
        Field(max_length=32_768, description="System prompt for rows that have none."),
    ] = None
    lr_scheduler_type: Annotated[
        Scheduler | None,
        swift("lr_scheduler_type"),
        Field(description="How the learning rate falls after the warm-up."),
    ] = None
    weight_decay: Annotated[
        float | None,
        swift("weight_decay"),
        Field(ge=0, le=1, allow_inf_nan=False, description="Weight decay of the optimizer."),
    ] = None
    target_modules: Annotated[
        Annotated[tuple[Name, ...], Field(min_length=1, max_length=64), OneOrMore] | None,
        swift("target_modules"),
        Field(
            description="Modules that get adapters; all-linear is ms-swift's default.",
        ),
    ] = None
    gradient_checkpointing: Annotated[
        bool | None, swift("gradient_checkpointing"), Field(description="Less memory for more computing.")
    ] = None
    attn_impl: Annotated[
        Attention | None, swift("attn_impl"), Field(description="Attention implementation.")
    ] = None
    packing: Annotated[
        bool | None,
        swift("packing"),
        Field(description="Pack short samples together; needs flash attention."),
    ] = None
    deepspeed: Annotated[
        PathText | None,
        swift("deepspeed"),
        Field(description="zero0, zero1, zero2, zero3, zero2_offload, zero3_offload, or a JSON file."),
    ] = None
    seed: Annotated[
        int | None, swift("seed"), Field(ge=0, le=2**31 - 1, description="Seed of all randomness.")
    ] = None
    resume_from_checkpoint: Annotated[
        PathText | None,
        swift("resume_from_checkpoint"),
        Field(description="Checkpoint directory to go on from."),
    ] = None
    report_to: Annotated[
        Annotated[tuple[Reporter, ...], Field(min_length=1, max_length=4), OneOrMore] | None,
        swift("report_to"),
        Field(
            description="Where metrics are also sent: tensorboard, wandb, swanlab, none.",
        ),
    ] = None
    quant_bits: Annotated[
        Literal[1, 2, 3, 4, 8] | None,
        swift("quant_bits"),
        Field(description="Train adapters on a quantised model (QLoRA)."),
    ] = None
    quant_method: Annotated[
        QuantMethod | None,
        swift("quant_method"),
        Field(description="Quantisation library; bnb where quant_bits is set."),
    ] = None

    rlhf_type: Annotated[
        Rlhf | None,
        swift("rlhf_type", rlhf=(DPO, GRPO)),
        Field(description="Algorithm of method rlhf; dpo by default."),
    ] = None
    beta: Annotated[
        float | None,
        swift("beta", rlhf=(DPO, GRPO)),
        Field(
            ge=0,
            le=100,
            allow_inf_nan=False,
            description="How strongly the model is held to the reference model.",
        ),
    ] = None
    ref_model: Annotated[
        PathText | None,
        swift("ref_model", rlhf=(DPO, GRPO)),
        Field(description="Reference model of a full-parameter training; the model itself by default."),
    ] = None
    loss_type: Annotated[
        Name | None,
        swift("loss_type", rlhf=(DPO, GRPO)),
        Field(description="Loss of the algorithm, as ms-swift names it."),
    ] = None
    label_smoothing: Annotated[
        float | None,
        swift("label_smoothing", rlhf=(DPO,)),
        Field(ge=0, lt=0.5, allow_inf_nan=False, description="How unsure the preferences are."),
    ] = None
    rpo_alpha: Annotated[
        float | None,
        swift("rpo_alpha", rlhf=(DPO,)),
        Field(
            ge=0,
            le=100,
            allow_inf_nan=False,
            description="Weight of an added SFT loss on the chosen answers.",
        ),
    ] = None
    reward_funcs: Annotated[
        Annotated[tuple[Reward, ...], Field(min_length=1, max_length=16), OneOrMore] | None,
        swift("reward_funcs", rlhf=(GRPO,)),
        Field(description="Reward functions; required for grpo."),
    ] = None
    reward_weights: Annotated[
        Annotated[
            tuple[Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)], ...],
            Field(min_length=1, max_length=16),
            OneOrMore,
        ]
        | None,
        swift("reward_weights", rlhf=(GRPO,)),
        Field(description="One weight for each of reward_funcs; all 1 by default."),
    ] = None
    num_generations: Annotated[
        int | None,
        swift("num_generations", rlhf=(GRPO,)),
        Field(ge=2, le=1024, description="Answers that are sampled per prompt; 4 by default."),
    ] = None
    max_completion_length: Annotated[
        int | None,
        swift("max_completion_length", rlhf=(GRPO,)),
        Field(ge=1, le=1_048_576, description="Longest sampled answer in tokens."),
    ] = None
    temperature: Annotated[
        float | None,
        swift("temperature", rlhf=(GRPO,)),
        Field(gt=0, le=10, allow_inf_nan=False, description="Temperature of sampling."),
    ] = None
    epsilon: Annotated[
        float | None,
        swift("epsilon", rlhf=(GRPO,)),
        Field(gt=0, lt=1, allow_inf_nan=False, description="Clip range of the policy ratio."),
    ] = None
    num_iterations: Annotated[
        int | None,
        swift("num_iterations", rlhf=(GRPO,)),
        Field(ge=1, le=100, description="Updates per sampled batch."),
    ] = None

    extra_args: Annotated[
        dict[Name, Annotated[Text, Field(max_length=4096)]] | None,
        Field(
            max_length=64,
            description="More flags for ms-swift, without the dashes; checked against the installed one.",
        ),
    ] = None


class LLMTrainingParams(BaseTrainingParams):
    """Parameters of a language model's training."""

    trainer_type = TrainerType.LLM


class MLLMTrainingParams(BaseTrainingParams):
    """Parameters of a multimodal model's training."""

    trainer_type = TrainerType.MLLM

    vit_lr: Annotated[
        Rate,
        swift("vit_lr"),
        Field(description="Learning rate of the vision tower; setting it unfreezes the tower."),
    ] = 1e-5
    aligner_lr: Annotated[
        Rate,
        swift("aligner_lr"),
        Field(description="Learning rate of the aligner; setting it unfreezes the aligner."),
    ] = 1e-5
    freeze_vit: Annotated[
        bool, swift("freeze_vit"), Field(description="Leave the vision tower as it is.")
    ] = True
    freeze_aligner: Annotated[
        bool, swift("freeze_aligner"), Field(description="Leave the aligner as it is.")
    ] = True
