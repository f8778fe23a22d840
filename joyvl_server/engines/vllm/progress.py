"""How far a start of vLLM is, read off the lines it prints and the files it downloads."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path


class Stage(StrEnum):
    """In the order of a start; a later one is never taken back."""

    STARTING = "starting"
    DOWNLOADING = "downloading the weights"
    LOADING = "loading the weights"
    COMPILING = "compiling"
    WARMING = "warming up"
    TRYING = "trying what the model can do"


_ORDER = list(Stage)
_STAGES = (
    (Stage.DOWNLOADING, re.compile(r"(?i)^(?:Fetching \d+ files|Downloading )|\.safetensors: +\d+%")),
    (Stage.LOADING, re.compile(r"Starting to load model|Loading (?:safetensors|pt) checkpoint shards|Loading weights")),
    (Stage.COMPILING, re.compile(r"(?i)torch\.compile|Dynamo bytecode|Compiling a graph|Cache the graph")),
    (Stage.WARMING, re.compile(r"Capturing CUDA graph|Available KV cache memory|KV cache size|Starting vLLM server")),
)
_PERCENT = re.compile(r"(\d{1,3})%")
_KV_TOKENS = re.compile(r"KV cache size: ([\d,]+) tokens")


@dataclass(frozen=True, slots=True)
class Progress:
    """`percent` of the stage where it is told; `kv_tokens`: the key-value cache's capacity, once vLLM has said it."""

    stage: Stage = Stage.STARTING
    percent: int | None = None
    kv_tokens: int | None = None

    def after(self, line: str) -> Progress:
        """The progress once this line was printed."""
        told = _KV_TOKENS.search(line)
        kv = int(told[1].replace(",", "")) if told else self.kv_tokens
        for stage, pattern in _STAGES:
            if _ORDER.index(stage) >= _ORDER.index(self.stage) and pattern.search(line):
                percent = _PERCENT.search(line)
                return Progress(stage, int(percent[1]) if percent else None, kv)
        return self if kv == self.kv_tokens else replace(self, kv_tokens=kv)

    def sentence(self, downloaded_gb: float | None = None) -> str:
        """Like `loading the weights, 40 %`. `downloaded_gb`: what a running download has brought so far."""
        early = self.stage in (Stage.STARTING, Stage.DOWNLOADING, Stage.LOADING) and self.percent is None
        if downloaded_gb is not None and early:
            return f"{Stage.DOWNLOADING}, {downloaded_gb:.1f} GB so far"
        return str(self.stage) + (f", {self.percent} %" if self.percent is not None else "")


@dataclass(frozen=True, slots=True)
class Download:
    """A model's folder in the Hugging Face cache. vLLM shows no bar for its downloads, so the files are looked at."""

    model: str
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def folder(self) -> Path:
        home = self.environ.get("HF_HOME") or str(
            Path(self.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
        )
        hub = self.environ.get("HF_HUB_CACHE") or str(Path(home) / "hub")
        return Path(hub).expanduser() / f"models--{self.model.replace('/', '--')}" / "blobs"

    def so_far_gb(self) -> float | None:
        """GB on the disk while a download runs, None when none does. Reads a folder: not for the event loop."""
        total, unfinished = 0, False
        try:
            for entry in os.scandir(self.folder):
                # What is being written takes less room than its size says, where it was made at its full length.
                total += entry.stat().st_blocks * 512
                unfinished = unfinished or entry.name.endswith(".incomplete")
        except OSError:
            return None
        return total / 1e9 if unfinished else None
