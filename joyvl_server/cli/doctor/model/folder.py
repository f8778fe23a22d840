"""The folder with the model: is everything there, whole, and of the right kind?"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from joyvl_server.cli.doctor.machine.disk import WEIGHTS_GB, existing
from joyvl_server.cli.doctor.model.place import ModelPlace
from joyvl_server.cli.doctor.model.safetensors import read_index, read_weights
from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop

INDEX = "model.safetensors.index.json"
ARCHITECTURE, KIND = "Qwen3VLForConditionalGeneration", "qwen3_vl"
UNFINISHED = ("*.incomplete", "*.part", "*.aria2", "*.crdownload", "*.unfinished")
AGAIN = "Fetch it again"
LISTED = 6


class ModelFilesCheck:
    """See `Check`."""

    name = "model"
    limit_s = 60.0

    def __init__(self, place: ModelPlace) -> None:
        self._place = place

    async def run(self) -> Iterable[Finding]:
        return await off_loop(self._look)

    def _look(self) -> list[Finding]:
        place = self._place
        if place.folder is None:
            return [self._absent()]
        if not place.wanted and not place.folder.is_dir():
            return [skipped("No model was looked at: engine vllm is not in use.", "Check one with --model FOLDER.")]
        if not place.folder.is_dir():
            return [problem(f"There is no folder {place.folder}.", "Set engine.options.vllm.model to the right one.")]
        try:
            names = os.listdir(place.folder)
        except OSError as error:
            return [problem(f"{place.folder} cannot be read: {error.strerror}.", "Let this user read it.")]
        if not names:
            return [
                problem(
                    f"The model's folder {place.folder} is empty.",
                    f"{AGAIN}: joyvl models get joyai --out {place.folder}",
                )
            ]
        return self._files(place.folder, set(names))

    def _absent(self) -> Finding:
        name = self._place.name
        if not self._place.wanted:
            return skipped("No model was looked at: engine vllm is not in use.", "Check one with --model FOLDER.")
        hub = existing(Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"))
        free_gb = shutil.disk_usage(hub).free / 1e9
        if free_gb < WEIGHTS_GB:
            return problem(
                f"{name} is not on this machine yet, and its {WEIGHTS_GB:g} GB do not fit: {free_gb:.1f} GB are free "
                f"on the disk of {hub}.",
                "Free some space, or name another disk: engine.options.vllm.env, HF_HOME.",
            )
        if self._place.downloading:
            return warning(f"{name} is not whole yet: a download has begun.", "It goes on at the next start of vLLM.")
        return warning(
            f"{name} is not on this machine yet: the first start of vLLM fetches {WEIGHTS_GB:g} GB.",
            "Fetch it before: joyvl models get joyai.",
        )

    def _files(self, folder: Path, names: set[str]) -> list[Finding]:
        how = "" if self._place.named else f" (joyvl models get joyai --out {folder})"
        again = f"{AGAIN}{how}; what is whole stays."
        config = _json(folder / "config.json")
        if config is None:
            why = "has no config.json" if "config.json" not in names else "has a config.json that cannot be read"
            return [problem(f"{folder} {why}, so it is no model.", again)]
        if (wrong := _wrong_kind(config)) is not None:
            return [wrong]
        found = self._weights(folder, names, again)
        lost = [name for name in ("tokenizer.json", "preprocessor_config.json") if name not in names]
        if lost:
            found.append(problem(f"{folder} has no {' and no '.join(lost)}.", again))
        left = sorted(file.name for pattern in UNFINISHED for file in folder.rglob(pattern))
        if left and not any(finding.status == "problem" for finding in found):
            found.append(warning(f"An unfinished download is in {folder}: {', '.join(left[:LISTED])}.", again))
        return found

    def _weights(self, folder: Path, names: set[str], again: str) -> list[Finding]:
        """What is wrong with the files of weights, or that they are whole."""
        needed: dict[str, set[str]] = {}
        if INDEX in names:
            try:
                for tensor, file in read_index(folder / INDEX).items():
                    needed.setdefault(file, set()).add(tensor)
            except (OSError, ValueError) as error:
                return [problem(f"{folder / INDEX} cannot be read: {error}.", again)]
        else:
            needed = {name: set() for name in names if name.endswith(".safetensors")}
        if not needed:
            return [self._no_weights(folder, names, again)]
        missing = sorted(file for file in needed if not (folder / file).is_file())
        if missing:
            more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
            listed = ", ".join(missing[:LISTED]) + more
            return [problem(f"{len(missing)} of {len(needed)} files of weights are missing: {listed}.", again)]
        faults, size = [], 0
        for file, tensors in sorted(needed.items()):
            weights = read_weights(folder / file)
            size += weights.size
            if weights.fault:
                faults.append(problem(f"{folder / file} {weights.fault}.", f"Delete this file. {again}"))
            elif lost := tensors - weights.tensors:
                what = f"{min(lost)}, which {INDEX} says it has"
                faults.append(problem(f"{folder / file} lacks {what}: the files are of two versions.", again))
        return faults or [ok(f"{folder}: {len(needed)} files of weights are whole, {size / 1e9:.1f} GB.")]

    def _no_weights(self, folder: Path, names: set[str], again: str) -> Finding:
        others = sorted(name for name in names if name.endswith((".bin", ".gguf", ".pt", ".pth")))
        if others:
            return problem(
                f"{folder} has no *.safetensors, only {', '.join(others[:LISTED])}.",
                "vLLM runs the safetensors of the Hub. GGUF files need llama.cpp or Ollama: engine openai.",
            )
        return problem(f"{folder} has no weights (*.safetensors).", again)


def _wrong_kind(config: dict[str, Any]) -> Finding | None:
    """Is it another model than the one the server was made for?"""
    listed = config.get("architectures")
    architecture = str(listed[0]) if isinstance(listed, list) and listed else str(config.get("model_type") or "unknown")
    if architecture == ARCHITECTURE or config.get("model_type") == KIND:
        return None
    advice = "Use the weights of jdopensource/JoyAI-VL-Interaction, or another vision model with engine openai."
    if "vision_config" not in config:
        return problem(f"The model is a {architecture}, which reads no pictures.", advice)
    return problem(f"The model is a {architecture}, not the interaction model ({ARCHITECTURE}).", advice)


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
