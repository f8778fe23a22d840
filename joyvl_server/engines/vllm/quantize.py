"""Makes smaller weights. Run by `joyvl models quantize` with the Python of an environment that has llm-compressor:

    PYTHON -I vllm_quantize.py MODEL FOLDER SCHEME GROUP DEVICE

Nothing of this server is imported here: that Python does not have it. The weights are rounded to the nearest step,
file by file, without data to calibrate on. Only the linear layers of the language model are made smaller: the vision
tower, the embedding and the last layer stay as they are, and so do tokenizer and chat template.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

KEPT = ("re:.*visual.*", "re:.*embed_tokens.*", "re:.*lm_head.*")


def scheme_of(name: str, group: int) -> Any:
    """As llm-compressor takes it: its own name for a scheme, or one made here."""
    if name == "fp8":
        return "FP8_DYNAMIC"
    found = importlib.import_module("compressed_tensors.quantization")
    weights = found.QuantizationArgs(num_bits=4, type="int", symmetric=True, strategy="group", group_size=group)
    return found.QuantizationScheme(targets=["Linear"], weights=weights)


def main(model: str, folder: Path, scheme: str, group: int, device: str) -> None:
    torch = importlib.import_module("torch")
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    compress = importlib.import_module("llmcompressor").model_free_ptq
    compress(model, str(folder), scheme=scheme_of(scheme, group), ignore=KEPT, device=device)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if "quantization_config" not in config:
        sys.exit("llm-compressor left no quantization_config in config.json")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
