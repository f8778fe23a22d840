"""Builds a tiny random model of the real architecture (`qwen3_vl`), for the real vLLM on a CPU.

Run it with the Python of vLLM's environment, which has torch and transformers; the tests' own Python has neither:

    PYTHON tests/e2e/tiny_model.py FOLDER

Everything is made here: the byte-level vocabulary, the chat template, 1.2 million random weights. Its answers are
noise, but the road to them is the real one: chat template, picture placeholders, vision tower, sampling. `</silence>`
and `</response>` are special tokens, as in the real model: a client that forgets `skip_special_tokens: false` never
sees them. `</delegation>` is ordinary text.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

END, PAD = "<|im_end|>", "<|endoftext|>"
VISION = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
MARKERS = ("</silence>", "</response>")
CONTEXT = 32768

# One turn as Qwen's chat format writes it; a picture becomes one placeholder, which the processor widens.
TEMPLATE = """\
{%- macro part(p) -%}
{%- if p.type == 'text' -%}{{ p.text }}
{%- elif p.type in ('image', 'image_url') -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif p.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- endif -%}
{%- endmacro -%}
{%- for m in messages -%}
{{- '<|im_start|>' ~ m.role ~ '\\n' -}}
{%- if m.content is string -%}{{ m.content }}
{%- else -%}{%- for p in m.content -%}{{ part(p) }}{%- endfor -%}{%- endif -%}
{%- if not (continue_final_message and loop.last) -%}{{- '<|im_end|>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

# What the merges are learnt from: enough for short words of English to be single tokens.
CORPUS = [
    "a person enters from the left and walks to the door",
    "the kitchen is empty, nothing moves, the light is off",
    "someone put a bottle on the table and took the cup away",
    "what colour is the car that just left the yard?",
    "the answer is yes; the answer is no; nobody is here",
    "<0.0 seconds> <1.0 seconds> <12.0 seconds> [User Query (IMPORTANT — follow this instruction)]",
    "hand the question over </delegation> to somebody who knows",
]


def build_tokenizer():
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, "<|im_start|>", END, *VISION]
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 20, trainer)
    tokenizer.add_special_tokens([AddedToken(m, normalized=False, special=True) for m in MARKERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, model_max_length=CONTEXT, chat_template=TEMPLATE
    )


def build_model(tokenizer):
    import torch
    from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

    def token(text: str) -> int:
        return tokenizer.convert_tokens_to_ids(text)

    hidden = 128
    config = Qwen3VLConfig(
        architectures=["Qwen3VLForConditionalGeneration"],
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 256,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": CONTEXT,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5_000_000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "bos_token_id": token(PAD),
            "eos_token_id": token(END),
            "pad_token_id": token(PAD),
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": hidden,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(20)
    model = Qwen3VLForConditionalGeneration(config).to(torch.float32)
    model.generation_config = GenerationConfig(
        bos_token_id=token(PAD), eos_token_id=[token(END), token(PAD)], pad_token_id=token(PAD)
    )
    return model


def picture_settings(kind: str, smallest: int, largest: int) -> dict[str, object]:
    """Sizes in pixels as the real model has them: one token per 32x32, at least 64 tokens a picture."""
    return {
        f"{kind}_processor_type": {"image": "Qwen2VLImageProcessorFast", "video": "Qwen3VLVideoProcessor"}[kind],
        "processor_class": "Qwen3VLProcessor",
        "size": {"shortest_edge": smallest, "longest_edge": largest},
        "patch_size": 16,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def build(folder: Path) -> int:
    """Write the model into `folder` and return its number of weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    files = {
        "preprocessor_config.json": picture_settings("image", 65_536, 16_777_216),
        "video_preprocessor_config.json": picture_settings("video", 4_096, 25_165_824),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1))
    return sum(p.numel() for p in model.parameters())


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
