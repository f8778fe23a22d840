"""A folder as the 8B model's, without its weights: real tokenizer, real template, real headers of safetensors files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from e2e.tiny_model import CORPUS, END, MARKERS, PAD, TEMPLATE, VISION

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"


def make_model_folder(
    folder: Path,
    *,
    markers: bool = True,
    template: str = TEMPLATE,
    architecture: str = "Qwen3VLForConditionalGeneration",
) -> Path:
    folder.mkdir(parents=True)
    kind = {"Qwen3VLForConditionalGeneration": "qwen3_vl"}.get(architecture, "other")
    config = {"architectures": [architecture], "model_type": kind, "vision_config": {"depth": 2}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    make_tokenizer(MARKERS if markers else ()).save(str(folder / "tokenizer.json"))
    weights = {}
    for number, shard in enumerate(SHARDS):
        name = f"model.layers.{number}.weight"
        weights[name] = shard
        (folder / shard).write_bytes(weights_file({name: 64}))
    (folder / INDEX).write_text(json.dumps({"weight_map": weights}))
    return folder


def make_tokenizer(markers: tuple[str, ...]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, "<|im_start|>", END, *VISION]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(marker, normalized=False, special=True) for marker in markers])
    return tokenizer


def weights_file(tensors: dict[str, int]) -> bytes:
    """A whole file with these tensors, each of so many bytes."""
    header, at = {}, 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)
