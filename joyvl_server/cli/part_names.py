"""Names of parts in the settings: engines, voices, ears, embedders, types of agents. Is each of them installed?"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.settings import Settings
from joyvl_server.settings.source import SettingsSource
from joyvl_server.speech.voices import OFF, VoiceChoice


@dataclass(frozen=True, slots=True)
class PartName:
    """`setting`: where it is written. `what`: the kind of part, in words. `also`: names that stand for no part."""

    setting: str
    what: str
    group: str
    name: str
    also: tuple[str, ...] = ()

    @property
    def mistake(self) -> str | None:
        """A sentence, with the nearest name that there is; None where the part is installed."""
        known = (*self.also, *plugins.names(self.group))
        if self.name in known:
            return None
        near = difflib.get_close_matches(self.name.lower(), known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        there = ", ".join(known) or "none"
        return f"{self.setting}: there is no {self.what} {self.name[:80]!r}. There are: {there}.{hint}"


def check_part_names(settings: Settings) -> None:
    """Raises `ConfigError`, a line for each name of which nothing is installed. Imports no part."""
    require([*engine_names(settings), *speech_names(settings), *embedder_names(settings), *agent_types(settings)])


class CheckedSource(SettingsSource):
    """Settings that name only parts that are installed, also when they are read again."""

    def read(self) -> Settings:
        settings = super().read()
        check_part_names(settings)
        return settings


def require(parts: Iterable[PartName]) -> None:
    """Raises `ConfigError`, a line for each that is not installed."""
    if mistakes := [sentence for part in parts if (sentence := part.mistake) is not None]:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def engine_names(settings: Settings) -> Iterator[PartName]:
    """Of what decides, and of what writes summaries."""
    group, what = "joyvl.engines", "engine"
    yield PartName("engine.name", what, group, settings.engine.name)
    if (writer := settings.sessions.summary_engine) is not None:
        yield PartName("sessions.summary_engine", what, group, writer)
    for name in settings.engine.options:
        yield PartName("engine.options", what, group, name)


def speech_names(settings: Settings) -> Iterator[PartName]:
    """Of voices, and of what understands speech."""
    speech = settings.speech
    voices = {"speech.tts": speech.tts} | {f"speech.voices.{spoken}": name for spoken, name in speech.voices.items()}
    for setting, voice in voices.items():
        yield PartName(setting, "voice engine", "joyvl.tts", VoiceChoice.parse(voice).engine, (OFF,))
    for name in speech.options:
        yield PartName("speech.options", "voice engine", "joyvl.tts", name)
    if speech.asr is not None:
        yield PartName("speech.asr", "listening engine", "joyvl.asr", speech.asr, (OFF,))
    for name in speech.asr_options:
        yield PartName("speech.asr_options", "listening engine", "joyvl.asr", name)


def embedder_names(settings: Settings) -> Iterator[PartName]:
    """Of what turns memories into vectors."""
    yield PartName("memory.embedder", "embedder", "joyvl.embedders", settings.memory.embedder, ("auto",))
    for name in settings.memory.options:
        yield PartName("memory.options", "embedder", "joyvl.embedders", name)


def agent_types(settings: Settings) -> Iterator[PartName]:
    """Of what each agent is."""
    for name, entry in settings.agents.entries.items():
        yield PartName(f"agents.entries.{name}.type", "type", "joyvl.agents", entry.type)
