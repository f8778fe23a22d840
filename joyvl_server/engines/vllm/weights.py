"""Weights for vLLM that `joyvl models get` fetches: the interaction model, or any repository by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from joyvl_server.core.errors import ConfigError
from joyvl_server.engines.vllm.options import ENVIRONMENTS, MODEL
from joyvl_server.kit.hubs.snapshot import whole_receipt

HUGGING_FACE = "huggingface"
MODELSCOPE = "modelscope"
SOURCES = (HUGGING_FACE, MODELSCOPE)
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True, slots=True)
class VllmWeights:
    """`repositories`: its name by where it is published. `megabytes`: None where nothing is known."""

    name: str
    repositories: Mapping[str, str] = field(hash=False)
    megabytes: int | None
    about: str
    licence: str

    def folder(self, models_dir: Path) -> Path:
        return models_dir / self.name

    def is_there(self, models_dir: Path) -> bool:
        """Whole, by the sizes and times of its files. Blocks, not for long."""
        return self.is_in(self.folder(models_dir))

    def is_in(self, folder: Path) -> bool:
        receipt = whole_receipt(folder)
        return receipt is not None and receipt.repository in self.repositories.values()


WEIGHTS = {
    weights.name: weights
    for weights in (
        VllmWeights(
            "joyai",
            # The vendor's other models are on ModelScope under this owner; whether this one is, nobody has looked.
            {HUGGING_FACE: MODEL, MODELSCOPE: f"jd-opensource/{MODEL.partition('/')[2]}"},
            17_600,
            "JoyAI-VL-Interaction, 8B: what decides every second, for engine vllm",
            "Apache-2.0",
        ),
    )
}


def with_places(
    options: Mapping[str, Mapping[str, object]], data_dir: Path, models_dir: Path
) -> dict[str, Mapping[str, object]]:
    """`engine.options` with what lies on this machine, where the user has named nothing else: the place of our
    environments, and the interaction model where `joyvl models get` has fetched it. Blocks, not for long."""
    ours = {"environments_dir": data_dir / ENVIRONMENTS, **options.get("vllm", {})}
    fetched = WEIGHTS["joyai"]
    if "model" not in ours and "revision" not in ours and fetched.is_there(models_dir):
        ours["model"] = str(fetched.folder(models_dir).absolute())
    return {**options, "vllm": ours}


def find_weights(name: str) -> VllmWeights | None:
    """Of the catalogue, or OWNER/NAME; None for what is neither."""
    if "/" not in name:
        return WEIGHTS.get(name)
    if not _REPOSITORY.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of a repository; they are named like {MODEL}.")
    here = name.replace("/", "--")
    return VllmWeights(here, dict.fromkeys(SOURCES, name), None, name, "see its own page")
