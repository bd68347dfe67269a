"""Make a tiny LLaVA-like model with random weights, and pictures to train it on; in the trainer environment.

usage: .venv-trainer/bin/python make_tiny_vlm.py OUT      writes OUT/model, OUT/images and OUT/train.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPImageProcessorPil

SIDE, PATCH = 56, 14
SPECIAL_TOKENS = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
COLORS = {"red": (220, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 220), "yellow": (230, 210, 40)}
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def write_data(out: Path) -> list[str]:
    """Four plain pictures and a question about each, by a path relative to the data set."""
    (out / "images").mkdir(parents=True)
    rows = []
    for name, color in COLORS.items():
        Image.new("RGB", (SIDE, SIDE), color).save(out / "images" / f"{name}.png")
        asked = {"role": "user", "content": "<image>What colour is it?"}
        answered = {"role": "assistant", "content": f"It is {name}."}
        rows.append({"messages": [asked, answered], "images": [f"images/{name}.png"]})
    (out / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows * 4))
    return [str(message["content"]) for row in rows for message in row["messages"]]  # type: ignore[index]


def make_tokenizer(texts: list[str]) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL_TOKENS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*texts, "USER: \nASSISTANT:"], trainer)
    names = dict(zip(("unk_token", "bos_token", "eos_token", "pad_token"), SPECIAL_TOKENS, strict=False))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=2048, chat_template=CHAT_TEMPLATE, **names
    )


def make_processor(tokenizer: Any) -> Any:
    crop = {"height": SIDE, "width": SIDE}
    return transformers.LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=crop),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        image_token="<image>",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    small = {"intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    vision = transformers.CLIPVisionConfig(
        hidden_size=64, image_size=SIDE, patch_size=PATCH, projection_dim=64, **small
    )
    text = transformers.LlamaConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=64,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **small,
    )
    config = transformers.LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    return transformers.LlavaForConditionalGeneration(config).to(torch.bfloat16)


def main() -> None:
    out = Path(sys.argv[1])
    tokenizer = make_tokenizer(write_data(out))
    make_model(tokenizer).save_pretrained(out / "model")
    make_processor(tokenizer).save_pretrained(out / "model")


if __name__ == "__main__":
    main()
