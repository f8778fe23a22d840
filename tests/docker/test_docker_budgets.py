"""configs/gpu-*.yaml and docker/vllm/*.yaml: the numbers that engine `vllm` calculates, and that the comments have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from joyvl_server.engines.vllm.card import OVERHEAD_GB, WEIGHTS_GB, kv_capacity
from joyvl_server.engines.vllm.flags import flags, plan
from joyvl_server.engines.vllm.options import VllmOptions
from joyvl_server.settings import load

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"gpu-16": (16, 0.92, 2), "gpu-24": (24, 0.92, 4), "gpu-32-omni": (32, 0.5, 2), "gpu-80": (80, 0.92, 16)}
"""of each card: GiB, the share of vLLM, sessions"""
SHARES = {"voice": ("0.17", "0.15"), "ears": ("0.12",)}


@pytest.mark.parametrize("card", SIZES)
def test_vllm_is_started_as_the_engine_vllm_would(card: str):
    size, share, sessions = SIZES[card]
    options = VllmOptions(card_gb=size, gpu_memory_utilization=share, sessions=sessions)
    made = plan(options, None)
    written = yaml.safe_load((ROOT / "docker" / "vllm" / f"{card}.yaml").read_text("utf-8"))
    arguments = list(flags(options, made, 8000))[1:]
    expected: dict[str, str] = {}
    while arguments:
        name = arguments.pop(0).removeprefix("--")
        expected[name] = arguments.pop(0) if arguments and not arguments[0].startswith("--") else "True"
    expected |= {"model": "/models/joyai", "host": "0.0.0.0"}
    del expected["no-enable-log-requests"]  # vLLM's default
    assert {name: str(value) for name, value in written.items()} == expected


@pytest.mark.parametrize("card", SIZES)
def test_the_comment_has_the_numbers(card: str):
    size, share, _ = SIZES[card]
    text = (ROOT / "configs" / f"{card}.yaml").read_text("utf-8")
    weights = "bf16" if size >= 40 else "fp8"
    free = size * share - WEIGHTS_GB[weights] - OVERHEAD_GB
    for number in (size * share, WEIGHTS_GB[weights], OVERHEAD_GB, free):
        assert f"{number:.2f} GiB" in text, number
    assert f"{kv_capacity(size, weights, share):,} tokens" in text
    assert "calculated (nobody has run it on such a card yet)" in text


@pytest.mark.parametrize("card", SIZES)
def test_a_chunk_fits_the_context(card: str):
    settings = load(ROOT / "configs" / f"{card}.yaml", environ={})
    written = yaml.safe_load((ROOT / "docker" / "vllm" / f"{card}.yaml").read_text("utf-8"))
    assert settings.sessions.context_tokens + settings.sessions.memory_tokens < written["max-model-len"]
    assert settings.engine.options["openai"]["model"] == written["served-model-name"]


def test_the_shares_of_the_omni_card_leave_some_of_it():
    text = (ROOT / "configs" / "gpu-32-omni.yaml").read_text("utf-8")
    shares = [0.5, *(float(share) for each in SHARES.values() for share in each)]
    assert sum(shares) == pytest.approx(0.94)
    assert f"{sum(shares):.2f} = {32 * sum(shares):.2f} GiB" in text
    for share in shares[1:]:
        assert re.search(rf"{share:.2f} += +{32 * share:.2f} GiB", text), share
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    for name, each in SHARES.items():
        command = " ".join(services[name]["command"])
        assert re.findall(r"gpu.memory.utilization\"?[:=]([\d.]+)", command) == list(each)
