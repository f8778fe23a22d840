"""The driver and the card: what is there, and what of the model fits into it. All figures are calculated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.core.errors import ConfigError, EngineUnavailable
from joyvl_server.engines.vllm.card import WEIGHTS_GB, GpuMemory, Weights, kv_capacity
from joyvl_server.engines.vllm.flags import SMALLEST_CONTEXT, Plan, plan
from joyvl_server.engines.vllm.options import read_options
from joyvl_server.settings import Settings

QUERY_S = 15.0
FIELDS = "name,memory.total,memory.used,compute_cap,driver_version"
NEWEST_CUDA_DRIVER = 580
"""The first driver for CUDA 13, which vLLM's packages are built for."""
OLDEST_COMPUTE, FULL_COMPUTE = 7.5, 8.0
"""CUDA 13 knows no card before Turing; bf16 and quick fp8 begin with Ampere."""
UTILIZATION = 0.92
SMALL_PICTURE, FULL_PICTURE = 84, 252
SILENT = "The program nvidia-smi"
NAMES: dict[Weights, str] = {"bf16": "bf16 (as published)", "fp8": "fp8 (made while loading)", "int4": "4-bit weights"}


@dataclass(frozen=True, slots=True)
class DriverAnswer:
    """What `nvidia-smi` said. `missing`: there is no such program; `silent`: it did not answer in time."""

    output: str = ""
    status: int = 0
    missing: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class FoundCard:
    """One card; `used_gb` is what programs have of it now."""

    card: GpuMemory
    used_gb: float


async def ask_driver(environ: Mapping[str, str] | None = None) -> DriverAnswer:
    """Ask `nvidia-smi` of the path. Cancelled, it ends the program."""
    try:
        process = await asyncio.create_subprocess_exec(
            "nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=environ,
        )  # fmt: skip
    except OSError:
        return DriverAnswer(missing=True)
    try:
        async with asyncio.timeout(QUERY_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return DriverAnswer(silent=True)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return DriverAnswer(output.decode(errors="replace")[:10_000], process.returncode or 0)


def read_cards(listing: str) -> list[FoundCard]:
    """Every line of the query that can be read."""
    found = []
    for line in listing.splitlines():
        parts = [part.strip() for part in line.split(",")]
        with suppress(ValueError):
            name, total, used, compute, driver = parts
            found.append(FoundCard(GpuMemory(float(total) / 1024, name, float(compute), driver), float(used) / 1024))
    return found


class CardCheck:
    """See `Check`."""

    name = "card"
    limit_s = QUERY_S + 5

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wanted = settings.engine.name == "vllm"

    async def run(self) -> Iterable[Finding]:
        answer = await ask_driver()
        cards = read_cards(answer.output) if answer.status == 0 else []
        if not cards:
            return [self._none(answer)]
        found = [self._driver(cards)]
        found += self._fits(cards[0])
        return found

    def _none(self, answer: DriverAnswer) -> Finding:
        said, advice = _why_none(answer)
        if self._wanted:
            return problem(f"Engine vllm needs an NVIDIA card. {said}", advice)
        if answer.missing:
            message = f"There is no NVIDIA driver here; engine {self._settings.engine.name} does not need one."
            return skipped(message, "For the interaction model see docs/engines.md: which engine on which machine.")
        return warning(said, advice)

    def _driver(self, cards: list[FoundCard]) -> Finding:
        card = cards[0].card
        listed = ", ".join(f"{found.card.name} ({found.card.memory_gb:.0f} GiB)" for found in cards)
        message = f"{listed}, driver {card.driver}."
        if len(cards) > 1:
            message += " Engine vllm uses the first one; CUDA_VISIBLE_DEVICES in engine.options.vllm.env chooses."
        major = card.driver.partition(".")[0]
        if major.isdigit() and int(major) < NEWEST_CUDA_DRIVER:
            return self._graver(
                f"{message} This driver is too old for CUDA 13, which vLLM's packages are built for.",
                f"Install driver {NEWEST_CUDA_DRIVER} or newer, and restart the machine.",
            )
        if card.compute and card.compute < OLDEST_COMPUTE:
            return self._graver(
                f"{message} Its compute capability is {card.compute:g}; vLLM needs {OLDEST_COMPUTE:g}.",
                "Use engine openai with a server on another machine, or another card.",
            )
        if card.compute and card.compute < FULL_COMPUTE:
            return warning(
                f"{message} Cards before Ampere compute no bf16: vLLM falls back to 16-bit floats, or refuses.",
                "Try it with: joyvl engine check vllm --start",
            )
        return ok(message)

    def _graver(self, message: str, advice: str) -> Finding:
        return problem(message, advice) if self._wanted else warning(message, advice)

    def _fits(self, found: FoundCard) -> list[Finding]:
        """What fits in words, as a table, and whether the memory is free."""
        card, context = found.card, self._settings.sessions.context_tokens
        table = tuple(_row(card.memory_gb, weights, context) for weights in WEIGHTS_GB)
        made, why = self._plan(card)
        title = f"What fits into {card.memory_gb:.0f} GiB, calculated for the 8B model, not measured:"
        if made is None:
            tell = problem if self._wanted else warning
            return [
                tell(
                    f"{title} {why}",
                    "docs/engines.md, “4-bit weights”, says where to get those; else use engine openai or motion.",
                    *table,
                )
            ]
        results = [ok(f"{title} {_chosen(made, context)}", *table)]
        if made.context_tokens < context:
            results.append(
                warning(
                    f"sessions.context_tokens is {context}, and the card holds {made.context_tokens}: sessions are cut "
                    "to that.",
                    f"Set sessions.context_tokens to {made.context_tokens * 4 // 5 // 1000 * 1000}, or use smaller "
                    "weights (joyvl models quantize).",
                )
            )
        free = card.memory_gb - found.used_gb
        if self._wanted and free < card.memory_gb * UTILIZATION:
            results.append(
                warning(
                    f"Programs use {found.used_gb:.1f} GiB of the card now. vLLM takes {UTILIZATION:.0%} of it, and "
                    "does not start where that is not free.",
                    "If that is not our own vLLM, end those programs (nvidia-smi lists them), or lower "
                    "gpu_memory_utilization in engine.options.vllm.",
                )
            )
        return results

    def _plan(self, card: GpuMemory) -> tuple[Plan | None, str]:
        """What engine vllm would choose, or why it refuses."""
        given: Mapping[str, Any] = self._settings.engine.options.get("vllm", {})
        try:
            # Whether the model is there is another check's business.
            options, _ = read_options({name: value for name, value in given.items() if name != "model"})
            named = str(given.get("model") or options.model)
            return plan(options.model_copy(update={"model": named}), card), ""
        except (ConfigError, EngineUnavailable) as error:
            return None, str(error)


def _row(memory_gb: float, weights: Weights, context: int) -> str:
    """One kind of weights in words."""
    name, tokens = NAMES[weights], kv_capacity(memory_gb, weights, UTILIZATION)
    needs = f"{WEIGHTS_GB[weights]:g} GiB"
    if tokens == 0:
        return f"{name}, {needs}: does not fit."
    if tokens < SMALLEST_CONTEXT:
        return f"{name}, {needs}: fits, but leaves room for only {tokens:,} tokens, too few to watch."
    if tokens < context:
        return f"{name}, {needs}: fits, with room for {tokens:,} tokens: one session with a shorter context."
    sessions = tokens // context
    return f"{name}, {needs}: fits, with room for {tokens:,} tokens: {_sessions(sessions)} of {context:,} tokens."


def _chosen(made: Plan, context: int) -> str:
    if made.kv_tokens is None:
        return f"Engine vllm would run {made.weights or 'these weights'} with a context of {made.context_tokens:,}."
    held = max(1, made.kv_tokens // max(1, min(context, made.context_tokens)))
    return (
        f"engine vllm runs {made.weights} with a context of {made.context_tokens:,} tokens; {_sessions(held)} keep "
        f"their whole context in the card. How many decide within a second depends on the card's speed: an RTX 3090 is "
        f"calculated to manage 3 with full pictures ({FULL_PICTURE} tokens) or 6 with small ones ({SMALL_PICTURE})."
    )


def _sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"


def _why_none(answer: DriverAnswer) -> tuple[str, str]:
    if answer.missing:
        return (
            f"{SILENT} is not on the path, so there is no driver.",
            "Install NVIDIA's driver; in a container start it with GPU access (docs/docker.md). Without a card use "
            "engine openai with a server elsewhere, or engine motion.",
        )
    if answer.silent:
        return f"{SILENT} did not answer within {QUERY_S:g} s.", "The driver hangs: restart the machine."
    said = " ".join(answer.output.split())[:200].rstrip(".")
    if "mismatch" in said:
        return (
            f"The parts of the driver do not fit together. It says: {said}.",
            "Restart the machine: the driver was updated.",
        )
    if answer.status == 0:
        return (
            f"{SILENT} names no card: {said or 'nothing'}.",
            "Is the card visible in this container?",
        )
    return f"The driver does not work. {SILENT} says: {said}.", "Load or install the driver again, then restart."
