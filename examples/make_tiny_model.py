"""Make a tiny chat model with random weights, and a data set that it can learn in a minute on a CPU.

usage: .venv-trainer/bin/python examples/make_tiny_model.py OUT [--arch qwen2|qwen3]

Writes OUT/tiny-<arch>/ (about 0.7 million parameters), OUT/train.jsonl and OUT/val.jsonl, and prints their
paths as one JSON object. Nothing is fetched, and the same arguments always give the same files. Run it with
the Python of the trainer environment: it needs torch and transformers.

These training parameters teach it nearly every answer in 180 steps, the loss falls from 6 to 0.05:
train_type full, torch_dtype float32, num_epochs 5, batch_size 8, gradient_accumulation_steps 1,
learning_rate 3e-3. (LoRA has little to hold on to in a model of random weights.)
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SEED = 20
WIDTH, LAYERS, HEADS, KEY_VALUE_HEADS, CONTEXT = 128, 4, 4, 2, 4096

END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
# ms-swift's Qwen templates look these up by name.
SPECIAL_TOKENS = [
    END_OF_TEXT,
    "<|im_start|>",
    END_OF_TURN,
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Several model types of ms-swift share one architecture; args.json says which one a directory holds.
TEMPLATES = {"qwen2": "qwen2_5", "qwen3": "qwen3"}

# bird: (where it nests, what it eats, when it sings). Few enough to be learned by heart.
BIRDS = {
    "swiftlet": ("in a dark cave", "flying insects", "at dusk"),
    "kingfisher": ("in a river bank", "small fish", "at noon"),
    "woodpecker": ("in a hollow tree", "beetles", "in the morning"),
    "barn owl": ("in an old barn", "mice", "at midnight"),
    "puffin": ("in a burrow by the sea", "sand eels", "at dawn"),
    "stork": ("on a chimney", "frogs", "at noon"),
}
QUESTIONS = (
    (0, "Where does the {bird} nest?", "The {bird} nests {fact}."),
    (0, "Where can I find the nest of the {bird}?", "The {bird} nests {fact}."),
    (1, "What does the {bird} eat?", "The {bird} eats {fact}."),
    (1, "What is the food of the {bird}?", "The {bird} eats {fact}."),
    (2, "When does the {bird} sing?", "The {bird} sings {fact}."),
    (2, "When can I hear the {bird}?", "The {bird} sings {fact}."),
)

Row = dict[str, list[dict[str, str]]]


def conversations() -> Iterator[Row]:
    """Every question about every bird, once."""
    for bird, facts in BIRDS.items():
        for about, question, answer in QUESTIONS:
            yield {
                "messages": [
                    {"role": "user", "content": question.format(bird=bird)},
                    {"role": "assistant", "content": answer.format(bird=bird, fact=facts[about])},
                ]
            }


def dataset(repeats: int) -> tuple[list[Row], list[Row]]:
    """Rows to train on, each conversation `repeats` times in a random order; and a few to evaluate on."""
    shuffle = random.Random(SEED)
    once = list(conversations())
    train = [row for _ in range(repeats) for row in shuffle.sample(once, len(once))]
    return train, shuffle.sample(once, 16)


def write_rows(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def make_tokenizer(rows: list[Row]) -> Any:
    """A byte-level BPE tokenizer, trained on the data set itself."""
    texts = [message["content"] for row in rows for message in row["messages"]]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, "system user assistant\n"], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(arch: str, tokenizer: Any) -> Any:
    """A random causal language model whose vocabulary is the tokenizer's, rounded up to a multiple of 64."""
    torch.manual_seed(SEED)
    sizes: dict[str, Any] = {
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }
    if arch == "qwen3":
        config = transformers.Qwen3Config(head_dim=WIDTH // HEADS, **sizes)
    else:
        config = transformers.Qwen2Config(**sizes)
    model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, max_new_tokens=64
    )
    return model


def write_model(path: Path, arch: str, rows: list[Row]) -> int:
    """Write the model directory; return the number of parameters."""
    tokenizer = make_tokenizer(rows)
    model = make_model(arch, tokenizer)
    tokenizer.save_pretrained(path)
    model.save_pretrained(path)
    args = {"swift_version": version("ms_swift"), "model_type": arch, "template": TEMPLATES[arch]}
    (path / "args.json").write_text(json.dumps(args, indent=2) + "\n", encoding="utf-8")
    return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a tiny chat model and a data set that it can learn.")
    parser.add_argument("out", type=Path, help="the directory to write into")
    parser.add_argument("--arch", choices=sorted(TEMPLATES), default="qwen2", help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=8, help="of each conversation in train.jsonl")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()

    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    made = {name: str(out / f"{name}.jsonl") for name in ("train", "val")}
    train, val = dataset(arguments.repeats)
    write_rows(Path(made["train"]), train)
    write_rows(Path(made["val"]), val)
    model = out / f"tiny-{arguments.arch}"
    parameters = write_model(model, arguments.arch, train)
    print(json.dumps({"model": str(model), **made, "parameters": parameters, "rows": len(train)}))


if __name__ == "__main__":
    main()
