"""The options of engine `whisper`, and where its models are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from pydantic import Field

from joyvl_server.core.errors import ConfigError
from joyvl_server.speech.options import SpeechOptions

WHERE = "speech.asr_options.whisper"
PREFIX = "whisper-"
PREFERRED = ("base", "small", "tiny", "base.en", "small.en", "tiny.en")
"""which model is taken where none is named: the first one that is there"""
FILES = ("model.bin", "config.json", "tokenizer.json")
TURN_FILE = "smart-turn/smart-turn-v3.2-cpu.onnx"


class WhisperOptions(SpeechOptions):
    """What stands under `speech.asr_options.whisper`."""

    model: str = Field(
        "", description="Name of a model that `joyvl models get` fetched, like base or tiny.en, or its folder."
    )
    python: Path | None = Field(
        None, description="Python of the environment with faster-whisper. Null: the server's own."
    )
    device: Literal["cpu", "cuda", "auto"] = Field("cpu", description="Where the model runs.")
    compute_type: str = Field("int8", description="Numbers of the model, as CTranslate2 names them.")
    cpu_threads: int = Field(2, ge=1, le=64, description="Cores that one sentence may take.")
    beam_size: int = Field(1, ge=1, le=8, description="More is slower, and seldom better for short sentences.")
    max_tokens: int = Field(96, ge=16, le=220, description="Longest sentence, in tokens.")
    partial_tokens: int = Field(60, ge=8, le=220, description="Longest sentence while somebody still speaks.")
    languages: list[str] = Field(
        default_factory=list, description="Languages that may be found out, like [en, zh]. Empty: all."
    )
    prompts: dict[str, str] = Field(
        default_factory=lambda: {"zh": "以下是普通话的句子。"},
        description="For each language a sentence before which the model believes to stand.",
    )
    hotwords: str | None = Field(None, description="Names and words that are often said here.")
    short_window: bool = Field(
        True, description="Let the encoder see the speech with 5 s after it instead of 30 s: several times as fast."
    )
    partials: bool = Field(True, description="Show words while somebody speaks, as far as there is time for it.")
    smart_turn: bool = Field(
        False, description="Find out from the voice whether somebody has finished, with `joyvl models get smart-turn`."
    )
    timeout_s: float = Field(20.0, gt=0, le=600, description="Longest wait for one sentence.")
    start_timeout_s: float = Field(60.0, gt=0, le=600, description="Longest wait until the model is loaded.")


def installed_models(models_dir: Path) -> list[str]:
    """Names of the models that are there in full, the preferred one first."""
    found = [folder.name.removeprefix(PREFIX) for folder in models_dir.glob(f"{PREFIX}*") if is_whole(folder)]
    return sorted(found, key=lambda name: (PREFERRED.index(name) if name in PREFERRED else len(PREFERRED), name))


def is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def model_folder(options: WhisperOptions, models_dir: Path) -> Path:
    """Raises `ConfigError` that says how to get one."""
    if "/" in options.model:
        folder = Path(options.model).expanduser()
        if not is_whole(folder):
            raise ConfigError(f"{WHERE}.model: {folder} holds no model: {', '.join(FILES)} are needed.")
        return folder
    name = options.model.removeprefix(PREFIX) or next(iter(installed_models(models_dir)), "")
    folder = models_dir / f"{PREFIX}{name or 'base'}"
    if not is_whole(folder):
        raise ConfigError(f"{folder} holds no model. Fetch it: joyvl models get {folder.name}")
    return folder


def turn_model(options: WhisperOptions, models_dir: Path) -> Path | None:
    """Raises `ConfigError` that says how to get it."""
    if not options.smart_turn:
        return None
    path = models_dir / TURN_FILE
    if not path.is_file():
        raise ConfigError(f"{path} is not there. Fetch it: joyvl models get smart-turn")
    return path


def has_package(options: WhisperOptions) -> bool:
    if options.python is not None:
        return options.python.expanduser().is_file()
    return importlib.util.find_spec("faster_whisper") is not None
