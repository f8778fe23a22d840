"""How `vllm serve` is called: pure functions from the options and the card to weights, sizes and flags."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joyvl_server.core.errors import EngineUnavailable
from joyvl_server.engines.vllm.card import DEFAULT_GB, GpuMemory, Weights, kv_capacity
from joyvl_server.engines.vllm.options import VllmOptions

CONTEXT = 32_768
"""Longest context by default: more is slower at every tick, and the model was trained on less."""
SMALLEST_CONTEXT = 6_144
"""Below this there is no room for a chunk, its lead and an answer."""
BATCH = 2_048
"""Tokens a step: a tick with a full picture fits, and a step stays short."""
LONG_PREFILL = 512
"""What a long prompt may take of a step while others wait."""
BF16_FROM_GB = 40.0
"""A card of this size has room for the weights as they are and for several contexts."""
TURN_TOKENS = 74
"""The smallest turn: 64 tokens of picture, its two marks, tag, role and the silent answer."""
BYTES_PER_IMAGE_TOKEN = 4 * 3 * 2 * 16 * 16 * 4
"""A picture as the processor's cache holds it: four patches a token of 3 x 2 x 16 x 16 floats."""
SMALLEST_PIXELS = 65_536

_QUANTIZED_NAME = re.compile(r"(?i)(?:^|[-_/.])(?:awq|gptq|int4|int8|w4a16|w8a8|w8a16|fp8|4bit|8bit)(?:$|[-_/.])")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was decided. `weights` is None where nothing is known of them; `quantize` is vLLM's name or None."""

    weights: Weights | None
    quantize: str | None
    context_tokens: int
    kv_tokens: int | None
    """capacity of the key-value cache, calculated; None where nothing is known"""
    sequences: int
    images: int
    mm_cache_gb: float


def plan(options: VllmOptions, card: GpuMemory | None, config: Mapping[str, Any] | None = None) -> Plan:
    """Weights, sizes and limits. `config`: the model's config.json where it is at hand.

    Raises `EngineUnavailable`, a sentence with what to change, where the card is too small.
    """
    memory = options.card_gb or (card.memory_gb if card else None)
    weights, quantize = _weights(options, memory, config or {})
    kv_tokens = None
    if options.device != "cpu" and weights is not None:
        kv_tokens = kv_capacity(memory or DEFAULT_GB, weights, options.gpu_memory_utilization)
        if options.kv_cache_dtype and options.kv_cache_dtype.startswith("fp8"):
            kv_tokens *= 2
    context = _context(options, memory, weights, kv_tokens)
    chunk_bytes = context * BYTES_PER_IMAGE_TOKEN
    cache = math.ceil(options.sessions * chunk_bytes * 1.25 / 2**30)
    return Plan(
        weights=weights,
        quantize=quantize,
        context_tokens=context,
        kv_tokens=kv_tokens,
        sequences=max(8, 4 * options.sessions),
        images=context // TURN_TOKENS,
        mm_cache_gb=float(cache) if options.mm_cache_gb is None else options.mm_cache_gb,
    )


def flags(options: VllmOptions, made: Plan, port: int) -> tuple[str, ...]:
    """The arguments after `vllm serve`. Only what differs from vLLM's own defaults, or must not change with them."""
    limits = {"image": made.images, "video": 0}
    pictures = {"size": {"shortest_edge": SMALLEST_PIXELS, "longest_edge": options.max_pixels}}
    given = {
        "--served-model-name": options.served_name,
        "--host": "127.0.0.1",
        "--port": port,
        "--revision": options.revision,
        "--quantization": made.quantize,
        "--kv-cache-dtype": options.kv_cache_dtype,
        "--max-model-len": made.context_tokens,
        "--gpu-memory-utilization": None if options.device == "cpu" else f"{options.gpu_memory_utilization:g}",
        "--max-num-seqs": made.sequences,
        "--max-num-batched-tokens": BATCH,
        "--long-prefill-token-threshold": LONG_PREFILL,
        "--scheduling-policy": "priority",
        "--limit-mm-per-prompt": json.dumps(limits, separators=(",", ":")),
        # Bounds the picture that vLLM makes room for at its start; ours are never larger.
        "--mm-processor-kwargs": json.dumps(pictures, separators=(",", ":")),
        "--mm-processor-cache-gb": f"{made.mm_cache_gb:g}",
        # The key guards /v1 only: nothing else on this machine may make the server fetch addresses.
        "--allowed-media-domains": "none.invalid",
        # The model's own generation config has penalties, which must never touch a decision.
        "--generation-config": "vllm",
        "--chat-template": options.chat_template,
        "--block-size": 32 if options.device == "cpu" else None,
    }
    switches = (
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        "--no-enable-log-requests",
        "--disable-uvicorn-access-log",
        "--disable-fastapi-docs",
    )
    pairs = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    return (options.model, *pairs, *switches, *options.extra_args)


def _weights(
    options: VllmOptions, memory: float | None, config: Mapping[str, Any]
) -> tuple[Weights | None, str | None]:
    """What the weights are once loaded, and what vLLM must be told to make them so."""
    there = quantized_as(options.model, config)
    if options.quantization == "int4" or (options.quantization == "auto" and there is not None):
        return ("int4" if options.quantization == "int4" else there or None), None
    if options.quantization == "fp8" and there is not None:
        raise EngineUnavailable(
            f"{options.model} has quantised weights already: set quantization in engine.options.vllm to auto."
        )
    if options.quantization == "none" or options.device == "cpu":
        return "bf16", None
    if options.quantization == "auto" and memory is not None and memory >= BF16_FROM_GB:
        return "bf16", None
    return "fp8", "fp8"


def quantized_as(model: str, config: Mapping[str, Any]) -> Weights | None:
    """`fp8` or `int4` where the weights are quantised already, by their config.json or else by their name."""
    stated = config.get("quantization_config")
    if isinstance(stated, Mapping):
        text = json.dumps(stated).replace(" ", "")
        return "int4" if re.search(r'"(?:num_bits|bits|w_bit)":4\b', text) else "fp8"
    if config or not (found := _QUANTIZED_NAME.search(model)):
        return None
    return "fp8" if "8" in found.group() else "int4"


def _context(options: VllmOptions, memory: float | None, weights: Weights | None, kv_tokens: int | None) -> int:
    if options.context_tokens is not None:
        return options.context_tokens
    if kv_tokens is None:
        return CONTEXT
    # Whole multiples leave room for rounding to blocks, and read better.
    context = min(CONTEXT, kv_tokens // 1024 * 1024)
    if context < SMALLEST_CONTEXT:
        smaller = {"bf16": "quantization: fp8", "fp8": "4-bit weights (see `joyvl models quantize`)"}.get(weights or "")
        raise EngineUnavailable(
            f"The card's {memory or DEFAULT_GB:.1f} GiB are too small for these weights ({weights}) and a context. "
            + (f"Use {smaller}, or a larger card." if smaller else "Use a larger card.")
        )
    return context
