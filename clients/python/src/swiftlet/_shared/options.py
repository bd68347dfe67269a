"""What a job or a deployment can be told, as keyword arguments that editors complete and mypy checks.

Defaults, ranges and meaning of training parameters are in `Client.params()` and `swiftlet params`. A
test keeps these in step with the messages of the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict

Time = datetime | str


class TrainingOptions(TypedDict, total=False):
    """Parameters of a training; only what is to be overridden needs to be given."""

    num_epochs: float
    batch_size: int
    learning_rate: float
    gradient_accumulation_steps: int
    eval_steps: int
    save_steps: int
    save_total_limit: int
    logging_steps: int
    max_length: int
    warmup_ratio: float
    dataloader_num_workers: int
    dataset_num_proc: int
    save_only_model: bool
    torch_dtype: str
    train_type: str
    lora_rank: int
    lora_alpha: int
    vit_lr: float
    aligner_lr: float
    tuner_type: str
    max_steps: int
    val_dataset: str
    split_dataset_ratio: float
    model_type: str
    template: str
    system: str
    lr_scheduler_type: str
    weight_decay: float
    target_modules: Sequence[str]
    freeze_vit: bool
    freeze_aligner: bool
    gradient_checkpointing: bool
    attn_impl: str
    packing: bool
    deepspeed: str
    seed: int
    resume_from_checkpoint: str
    report_to: Sequence[str]
    quant_bits: int
    extra_args: Mapping[str, str]
    rlhf_type: str
    beta: float
    reward_funcs: Sequence[str]
    num_generations: int
    max_completion_length: int
    ref_model: str
    quant_method: str
    loss_type: str
    label_smoothing: float
    rpo_alpha: float
    reward_weights: Sequence[float]
    temperature: float
    epsilon: float
    num_iterations: int


class JobOptions(TrainingOptions, total=False):
    """The parameters, what the job needs of the machines, and when it may run."""

    job_id: str
    priority: int
    """0 to 10, larger is more urgent."""
    gpus: int
    gpu_memory_gib: float
    """GiB on each GPU if it may be shared; whole GPUs if not given."""
    gpu_name: str
    min_gpu_memory_gib: float
    allow_many_machines: bool
    project: str
    auto_start: bool
    """False to wait for `Job.start`."""
    max_retries: int
    time_limit: float
    """Seconds after which it is ended."""
    earliest_start: Time


class DeployOptions(TypedDict, total=False):
    """How a model is served."""

    job_id: str
    deploy_type: str
    served_model_name: str
    """Name for clients of the OpenAI API; the id if not given."""
    version: str
    port: int
    priority: int
    gpus: int
    gpu_memory: str
    """As in "16GB", if the GPU may be shared; a whole one if not given."""
    memory: str
    auto_start: bool
    """False to wait for `Deployment.start`."""
