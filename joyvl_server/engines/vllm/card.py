"""What a card holds: the driver is asked for its memory, and the room for a context is calculated from it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

Weights = Literal["bf16", "fp8", "int4"]

WEIGHTS_GB: dict[Weights, float] = {"bf16": 16.8, "fp8": 9.9, "int4": 7.1}
"""GiB of the 8B model. fp8 and int4 leave the vision tower, the embedding and the last layer in bf16."""
KV_BYTES_PER_TOKEN = 2 * 36 * 8 * 128 * 2
"""Keys and values, 36 layers, 8 heads of 128, two bytes each: 144 KiB."""
OVERHEAD_GB = 1.1
"""Activations of a step of 2048 tokens, CUDA graphs, the library itself; a calculation, not a measurement."""
DEFAULT_GB = 24.0
"""Where the driver tells nothing."""

QUERY_S = 10.0
_QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,compute_cap,driver_version", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """One GPU. `compute` is its compute capability, like 8.6; empty strings and 0 where the driver does not tell."""

    memory_gb: float
    name: str = ""
    compute: float = 0.0
    driver: str = ""


def kv_capacity(card_gb: float, weights: Weights, utilization: float) -> int:
    """Tokens of key-value cache next to the weights; 0 where there is no room. Calculated."""
    free = card_gb * utilization - WEIGHTS_GB[weights] - OVERHEAD_GB
    return max(0, int(free * 2**30 / KV_BYTES_PER_TOKEN))


async def find_card() -> GpuMemory | None:
    """The first card the driver lists; None where there is no driver, or none that answers in time.

    Cancelled, it ends the program that it asks.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *_QUERY, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(QUERY_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return read_card(output.decode(errors="replace")) if process.returncode == 0 else None


def read_card(listing: str) -> GpuMemory | None:
    """The first card of what `nvidia-smi` lists: name, MiB, compute capability, driver."""
    parts = [part.strip() for part in listing.partition("\n")[0].split(",")]
    if len(parts) != 4:
        return None
    name, memory, compute, driver = parts
    try:
        return GpuMemory(float(memory) / 1024, name, float(compute), driver)
    except ValueError:
        return None
