"""What understands speech is taken from the settings; without any the server goes on."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from fakes.clock import ManualClock
from fakes.speech.asr import ToldAsr, voice
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.settings import Settings, SpeechSettings
from joyvl_server.speech import hearing as module
from joyvl_server.speech.asr.openai_options import OpenAIAsrOptions
from joyvl_server.speech.asr.whisper.options import FILES, TURN_FILE, WhisperOptions, installed_models, model_folder
from joyvl_server.speech.base import SpeechError
from joyvl_server.speech.hearing import SpeechHearing, open_hearing

OFFERS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]


@pytest.fixture(autouse=True)
def _as_installed(monkeypatch):
    """Also where the package was installed before it had these engines."""
    offers = {name: [EntryPoint(name, value, "joyvl.asr")] for name, value in OFFERS["joyvl.asr"].items()}
    monkeypatch.setattr(plugins, "_installed", lambda group: offers)


def settings(tmp_path, **speech):
    return Settings(data_dir=tmp_path, speech=SpeechSettings(**speech))


def a_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"x")


async def test_without_a_model_nothing_is_understood_and_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("joyvl_server.speech.asr.whisper.engine.has_package", lambda options: True)
    hearing = open_hearing(settings(tmp_path), ManualClock())
    assert not hearing.able
    assert "joyvl models get whisper-base" in hearing.message
    assert (hearing.state, hearing.name, hearing.turns) == (None, None, None)
    await hearing.start()
    await hearing.aclose()


async def test_with_a_model_whisper_is_the_default_and_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("joyvl_server.speech.asr.whisper.engine.has_package", lambda options: True)
    a_model(tmp_path / "models/whisper-tiny.en")
    hearing = open_hearing(settings(tmp_path), ManualClock())
    assert (hearing.name, hearing.state.status, hearing.state.extra["model"]) == (
        "whisper",
        "stopped",
        "whisper-tiny.en",
    )
    assert hearing.turns is None
    await hearing.aclose()
    turn = tmp_path / "models" / TURN_FILE
    turn.parent.mkdir()
    turn.write_bytes(b"x")
    smart = open_hearing(settings(tmp_path, asr_options={"whisper": {"smart_turn": True}}), ManualClock())
    assert smart.turns is not None


async def test_what_was_chosen_and_cannot_be_used_is_an_error(tmp_path, monkeypatch):
    for speech, words in (
        ({"asr": "whisper", "asr_options": {"whisper": {"python": "/none"}}}, "faster-whisper"),
        ({"asr": "nonsense"}, "Installed: openai, whisper"),
        ({"asr_options": {"whisper": {"nonsense": 1}}}, r"asr_options\.whisper"),
    ):
        with pytest.raises(ConfigError, match=words):
            open_hearing(settings(tmp_path, **speech), ManualClock())
    assert "off" in open_hearing(settings(tmp_path, asr="off"), ManualClock()).message


async def test_a_server_of_others_is_another_engine(tmp_path):
    options = {"openai": {"base_url": "http://127.0.0.1:9/v1", "parallel": 3}}
    hearing = open_hearing(settings(tmp_path, asr="openai", asr_options=options), ManualClock())
    assert (hearing.name, hearing.state.status, hearing.turns) == ("openai", "ready", None)
    await hearing.aclose()


async def test_sessions_share_one_queue_and_a_start_that_fails_is_only_told():
    asr = ToldAsr("Yes.")

    async def fails():
        raise SpeechError("No.")

    asr.start = fails
    hearing = SpeechHearing(asr, ManualClock())
    await hearing.start()
    for language in ("en", None):
        segment = hearing.transcriber(language).begin()
        segment.add(voice(1.0))
        segment.end()
        assert [words.text async for words in segment.words()] == ["Yes."]
    assert [call.language for call in asr.calls] == ["en", None]
    assert hearing.state.extra == {"waiting": 0, "refused": 0}
    await hearing.aclose()
    assert asr.closed


def test_the_preferred_model_is_taken_and_unfinished_ones_are_not(tmp_path):
    for name in ("whisper-tiny.en", "whisper-small", "whisper-mine"):
        a_model(tmp_path / name)
    (tmp_path / "whisper-base").mkdir()
    assert installed_models(tmp_path) == ["small", "tiny.en", "mine"]
    assert model_folder(WhisperOptions(), tmp_path).name == "whisper-small"
    assert model_folder(WhisperOptions(model="whisper-mine"), tmp_path).name == "whisper-mine"
    assert model_folder(WhisperOptions(model=str(tmp_path / "whisper-mine")), tmp_path).name == "whisper-mine"
    for wrong in ("base", str(tmp_path / "whisper-base")):
        with pytest.raises(ConfigError, match="holds no model"):
            model_folder(WhisperOptions(model=wrong), tmp_path)


def test_the_name_of_the_group_is_one_that_there_is():
    assert module.GROUP in plugins.GROUPS


def test_every_option_is_in_the_reference():
    text = (Path(__file__).parents[2] / "docs/reference/speech.md").read_text("utf-8")
    for model in (WhisperOptions, OpenAIAsrOptions):
        for name, field in model.model_fields.items():
            assert f"| `{name}` |" in text, name
            assert field.description in text, name
