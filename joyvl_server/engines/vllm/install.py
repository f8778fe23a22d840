"""What the environments of engine `vllm` are made of."""

from __future__ import annotations

from pathlib import Path

from joyvl_server.engines.vllm.options import ENVIRONMENTS
from joyvl_server.kit.virtualenvs import VirtualEnvironment

VLLM = ("vllm>=0.32,<0.34",)
"""What the flags and the log lines were checked with is 0.32."""
QUANTIZE = ("llmcompressor>=0.14,<0.15",)
"""Brings versions of torch and transformers that vLLM does not take, so it lives apart."""


def vllm_environment(data_dir: Path, requirements: tuple[str, ...] = ()) -> VirtualEnvironment:
    return VirtualEnvironment(data_dir / ENVIRONMENTS / "vllm", requirements or VLLM)


def quantize_environment(data_dir: Path, requirements: tuple[str, ...] = ()) -> VirtualEnvironment:
    return VirtualEnvironment(data_dir / ENVIRONMENTS / "quantize", requirements or QUANTIZE)
