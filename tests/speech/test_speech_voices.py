"""Which voice says a sentence, and what speaks when that one cannot."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np
import pytest
from structlog.testing import capture_logs

from fakes.clock import ManualClock
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit import plugins
from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.settings import Settings
from joyvl_server.speech.base import SpeechError, SpeechState, Tts, Voice
from joyvl_server.speech.tts.browser import BrowserTts
from joyvl_server.speech.voices import REST_S, SpeechEngines


class ToldTts:
    """Speaks as many samples as the text has characters; `fault` is raised before or, `late`, in mid-sentence."""

    remote = False

    def __init__(self, name, languages, said):
        self.name = name
        self.fault = None
        self.late = False
        self.state = SpeechState("ready")
        self.closed = 0
        self.started = 0
        self._languages = languages
        self._said = said

    async def start(self):
        self.started += 1
        if self.fault:
            raise self.fault

    async def voices(self):
        return [Voice(f"{self.name}-{language}", language) for language in self._languages]

    async def speak(self, text, *, voice, language):
        if self.fault and not self.late:
            raise self.fault
        if voice is None and language not in self._languages:
            raise SpeechError(f"{self.name} has none", code="no_voice")
        self._said.append((self.name, voice, text))
        try:
            yield Pcm(np.ones(len(text), np.int16), 16_000)
            if self.fault:
                raise self.fault
            yield Pcm(np.ones(1, np.int16), 16_000)
        finally:
            self.closed += 1

    async def aclose(self):
        pass


class World:
    def __init__(self, monkeypatch):
        self.said = []
        self.clock = ManualClock()
        self.parts = {
            "piper": ToldTts("piper", ["en"], self.said),
            "kokoro": ToldTts("kokoro", ["en", "zh"], self.said),
            "espeak": ToldTts("espeak", ["en", "zh", "de"], self.said),
            "browser": BrowserTts,
        }
        monkeypatch.setattr(plugins, "names", lambda group: tuple(sorted(self.parts)))
        monkeypatch.setattr(plugins, "load", self._load)

    def _load(self, group, name):
        if name not in self.parts:
            raise ConfigError(f"There is no {name!r} in {group}.")
        part = self.parts[name]
        return part if isinstance(part, type) else lambda context: part

    def engines(self, **speech):
        return SpeechEngines(Settings(speech={"tts": "piper", **speech}), self.clock)


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


async def say(engines, text, wanted=None, language=None):
    return sum([len(pcm.samples) async for pcm in engines.speak(text, wanted=wanted, language=language)])


async def test_the_language_of_the_text_chooses_the_voice(world):
    engines = world.engines(voices={"en": "piper:piper-en", "zh": "kokoro:kokoro-zh"})
    await say(engines, "There is a cat.")
    await say(engines, "有一只猫。")
    await say(engines, "Der Hund ist da und die Katze ist auch da.")
    assert [(name, voice) for name, voice, _ in world.said] == [
        ("piper", "piper-en"), ("kokoro", "kokoro-zh"), ("espeak", None),
    ]  # fmt: skip


async def test_what_a_session_wants_goes_before_the_settings_but_never_speaks_a_foreign_language(world):
    engines = world.engines(voices={"zh": "kokoro"})
    await say(engines, "There is a cat.", "kokoro:kokoro-en")
    await say(engines, "有一只猫。", "piper:piper-en")
    await say(engines, "A dog.", "espeak")
    assert [(name, voice) for name, voice, _ in world.said] == [
        ("kokoro", "kokoro-en"), ("kokoro", None), ("espeak", None),
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["unavailable", "timeout", "failed", "too_long"])
async def test_where_one_fails_another_speaks_and_it_is_told_once(world, code):
    engines = world.engines()
    world.parts["piper"].fault = SpeechError("piper: it died.", code=code)
    with capture_logs() as logs:
        for _ in range(3):
            assert await say(engines, "There is a cat.") == 16
        assert {name for name, _, _ in world.said} == {"espeak"}
        assert engines.trouble == "piper: it died."
        assert engines.states()["piper"] == SpeechState("failed", "piper: it died.")
        world.parts["piper"].fault = None
        await world.clock.advance(REST_S * 2)
        await say(engines, "There is a dog.")
    assert world.said[-1][0] == "piper"
    assert engines.trouble == ""
    assert [log["event"] for log in logs] == ["a voice engine fails", "a voice engine speaks again"]


async def test_one_that_fails_is_left_alone_for_a_while(world):
    engines = world.engines()
    world.parts["piper"].fault = SpeechError("piper: late.", code="timeout")
    await say(engines, "One.")
    world.parts["piper"].fault = None
    await say(engines, "Two.")
    await world.clock.advance(REST_S + 1)
    await say(engines, "Three.")
    assert [name for name, _, _ in world.said] == ["espeak", "espeak", "piper"]


async def test_one_that_breaks_off_in_mid_sentence_says_so_and_the_next_sentence_works(world):
    engines = world.engines()
    world.parts["piper"].fault, world.parts["piper"].late = SpeechError("piper: it died.", code="unavailable"), True
    with pytest.raises(SpeechError, match="it died"):
        await say(engines, "There is a cat.")
    assert await say(engines, "There is a dog.") == 16
    assert [name for name, _, _ in world.said] == ["piper", "espeak"]


async def test_a_language_without_a_voice_is_no_fault_of_the_engine(world):
    engines = world.engines()
    await say(engines, "有一只猫。")
    assert (world.said[-1][0], engines.trouble) == ("espeak", "")


async def test_who_wants_what_is_broken_is_told_and_nobody_else(world):
    engines = world.engines(voices={"zh": "kokoro:kokoro-zh"})
    piper = world.parts["piper"]
    for code in ("broken_voice", "unavailable"):
        piper.fault = SpeechError("piper: it is torn.", code=code)
        await say(engines, "One.")
        assert world.said[-1][0] == "kokoro"
        assert engines.fault(None) == engines.fault("piper") == "piper: it is torn."
        assert engines.fault("kokoro:kokoro-zh") == engines.fault("off") == ""
        piper.fault = None
        await world.clock.advance(REST_S + 1)
        await say(engines, "Two.")
        assert (world.said[-1][0], engines.fault(None)) == ("piper", "")


async def test_where_nothing_can_speak_it_says_why(world):
    engines = world.engines()
    for name in ("piper", "espeak"):
        world.parts[name].fault = SpeechError(f"{name}: no.", code="unavailable")
    with pytest.raises(SpeechError, match="no"):
        await say(engines, "There is a cat.")
    for name in ("piper", "espeak"):
        world.parts[name].fault = None
    await say(engines, "Resting ones are asked where nothing else is left.")


async def test_closed_early_the_engine_is_closed_at_once(world):
    engines = world.engines()
    async with aclosing(engines.speak("There is a cat.")) as pieces:
        await anext(pieces)
        assert world.parts["piper"].closed == 0
    assert world.parts["piper"].closed == 1


async def test_the_browser_speaks_by_itself(world):
    engines = world.engines(tts="browser")
    assert engines.remote(None)
    assert not engines.remote("piper")
    assert not engines.remote("off")
    assert isinstance(engines.engine("browser"), Tts)
    await say(engines, "For listeners without a page.")
    assert world.said[-1][0] == "espeak"


async def test_off_is_silence(world):
    engines = world.engines(tts="off")
    assert engines.choice(None) is None
    assert engines.choice("piper:x") is not None
    with pytest.raises(SpeechError, match="No voice is chosen"):
        await say(engines, "A.")


async def test_start_gets_ready_what_the_settings_name_and_raises_nothing(world):
    engines = world.engines(voices={"zh": "kokoro:kokoro-zh"})
    world.parts["piper"].fault = SpeechError("piper: no.", code="unavailable")
    await engines.start()
    assert [world.parts[name].started for name in ("piper", "kokoro", "espeak")] == [1, 1, 0]
    assert engines.trouble == "piper: no."


def test_names_are_checked(world):
    world.engines().check()
    for speech in ({"tts": "nobody"}, {"voices": {"en": "nobody:x"}}, {"options": {"nobody": {}}}):
        with pytest.raises(ConfigError, match="nobody"):
            world.engines(**speech).check()
    world.engines().check("kokoro:any")
    with pytest.raises(ConfigError):
        world.engines().check("nobody:x")
    with pytest.raises(ConfigError, match=r"speech\.options\.browser\.x"):
        world.engines(options={"browser": {"x": 1}}).check()


async def test_an_engine_that_died_is_no_trouble_any_more_once_it_is_there_again(world):
    engines = world.engines()
    piper = world.parts["piper"]
    piper.fault, piper.state = SpeechError("piper: it died.", code="unavailable"), SpeechState("failed", "it died")
    await say(engines, "One.")
    assert engines.trouble == "piper: it died."
    piper.state = SpeechState("ready")
    assert (engines.trouble, engines.fault(None)) == ("", "")


async def test_a_voice_whose_file_is_broken_is_told_as_long_as_it_is(world):
    engines = world.engines()
    world.parts["piper"].fault = SpeechError("piper: it is torn.", code="broken_voice")
    await say(engines, "One.")
    assert engines.trouble == "piper: it is torn."


def test_a_name_that_no_engine_has_is_refused(world):
    with pytest.raises(ConfigError, match=r"no voice engine bogus\. There are: .*piper"):
        world.engines().check_installed("bogus:anna")
    world.engines().check_installed("piper:anna")
