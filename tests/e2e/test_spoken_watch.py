"""The whole way: "tell me when someone comes", said into the microphone of a real browser, becomes a watch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench.speech.answering_engine import AnsweringEngine
from bench.speech.call import BenchCall, microphone_browser, speech_server, whisper_options
from bench.speech.microphone import synthesise, write_wav
from bench.speech.mistakes import error_rate

from fakes.media.speech import need_speech
from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess
from joyvl_server.kit.audio.pcm import Pcm

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAID = {"en": "Tell me when someone comes.", "zh": "有人来的时候告诉我。"}
MISTAKEN = 0.35
STANDING = "B"
"""the letter of an instruction from now on"""


@pytest.fixture(scope="module", params=["an engine of words", "motion"])
def server(request: pytest.FixtureRequest, speech_env: tuple[Path, Path]) -> Iterator[ServerProcess]:
    need_speech()
    environment = speech_env[1].parent
    speech = {"asr": "whisper", "asr_options": {"whisper": whisper_options(environment, languages=["en", "zh"])}}
    with AnsweringEngine(STANDING) as engine:
        groups = {} if request.param == "motion" else {"engine": engine.settings}
        with speech_server(environment, speech=speech, **groups) as server:
            yield server


@pytest.fixture(scope="module", params=list(SAID))
def said(request: pytest.FixtureRequest, speech_env: tuple[Path, Path], tmp_path_factory) -> tuple[str, Path]:
    """Which language, and the sentence as a file, with silence around it."""
    wav = tmp_path_factory.mktemp("said") / "said.wav"
    write_wav(wav, [spoken(speech_env[1].parent, request.param)], rate=16_000, lead_s=2.0, tail_s=6.0)
    return request.param, wav


@cache
def spoken(environment: Path, language: str) -> Pcm:
    """Kokoro takes its time to start."""
    return synthesise(environment, [SAID[language]], language)[0]


def closed(call: BenchCall, query_id: str) -> dict[str, Any] | None:
    queries = [update["query"] for _, update in call.found("query.closed")]
    return next((query for query in queries if query["id"] == query_id), None)


def test_a_spoken_wish_becomes_a_watch(server: ServerProcess, said: tuple[str, Path]) -> None:
    language, wav = said

    def kept(call: BenchCall) -> dict[str, Any] | None:
        """The call may begin in the middle of a sentence, so it need not be the first one."""
        watches = [update["watch"] for _, update in call.found("watch.created")]
        return next((w for w in watches if error_rate([(SAID[language], w["text"])], language) <= MISTAKEN), None)

    with microphone_browser(wav, loop=True) as browser, BenchCall(server, browser, voice="off") as call:
        call.wait(lambda: kept(call), PATIENCE_S, "A watch")
        watch = kept(call)
        assert watch is not None
        assert watch["kinds"] == ["enter"]
        call.wait(lambda: closed(call, watch["query_id"]), PATIENCE_S, "The end of the request")
        query = closed(call, watch["query_id"])
        assert query is not None
        assert (query["status"], query["text"]) == ("standing", watch["text"])
        held = server.call("GET", f"/v1/sessions/{call.session_id}")["watches"]
        assert watch["id"] in [one["id"] for one in held]
