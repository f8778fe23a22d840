"""Log-probabilities of the two markers as transformers computes them, in float32, without vLLM.

    PYTHON tests/e2e/reference_scores.py MODEL_FOLDER PROMPTS.json

Run it with the Python of vLLM's environment. The file holds a list of prompts, each a list of chat messages with
pictures as data URLs; printed is a list of {"tokens": …, "</silence>": …, "</response>": …}.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, Qwen3VLForConditionalGeneration

MARKERS = ("</silence>", "</response>")
PLACE = "<|image_pad|>"


def pictures(messages: list[dict]) -> list[Image.Image]:
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    return [Image.open(BytesIO(b64decode(url.partition(",")[2]))).convert("RGB") for url in urls]


def main(folder: str, file: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    processor = AutoImageProcessor.from_pretrained(folder)
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    place = tokenizer.convert_tokens_to_ids(PLACE)
    found = []
    for messages in json.loads(Path(file).read_text()):
        seen = processor(images=pictures(messages), return_tensors="pt")
        first, *rest = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True).split(PLACE)
        widths = [int(grid.prod()) // 4 for grid in seen["image_grid_thw"]]  # 2x2 patches become one token
        text = first + "".join(PLACE * width + after for width, after in zip(widths, rest, strict=True))
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=ids, mm_token_type_ids=(ids == place).int(), logits_to_keep=1, **seen).logits
        likely = logits[0, -1].log_softmax(-1)
        scores = {marker: likely[tokenizer.convert_tokens_to_ids(marker)].item() for marker in MARKERS}
        found.append({"tokens": ids.shape[1], **scores})
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
