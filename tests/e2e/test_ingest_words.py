"""What is said before a camera becomes sentences of its session: real RTSP, real server, real VAD, real whisper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.speech.call import speech_server, whisper_options
from bench.speech.microphone import synthesise, write_wav
from bench.speech.mistakes import error_rate
from bench.speech.sentences import ENGLISH

from fakes.media.hub import need_rtsp
from fakes.media.rtsp_server import RtspServer
from fakes.media.speech import need_speech
from fakes.media.video import draw_clip
from fakes.server.server import ServerProcess

pytestmark = [pytest.mark.rtsp, pytest.mark.slow]

SENTENCES = ENGLISH[:4]
DONE = "conversation.item.input_audio_transcription.completed"
MISTAKEN = 0.12
"""of the words, at most: telephone sound, and a small model"""


@pytest.fixture(scope="module")
def environment(speech_env: tuple[Path, Path]) -> Path:
    need_speech()
    need_rtsp()
    return speech_env[1].parent


@pytest.fixture(scope="module")
def sound(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "said.wav"
    write_wav(path, synthesise(environment, SENTENCES, "en"), rate=16_000, lead_s=4.0, tail_s=20.0)
    return path


@pytest.fixture(scope="module")
def server(environment: Path) -> Iterator[ServerProcess]:
    whisper = whisper_options(environment, "tiny.en")
    with speech_server(environment, speech={"asr": "whisper", "asr_options": {"whisper": whisper}}) as server:
        yield server


@pytest.mark.parametrize("codec", ["aac", "pcmu", "opus"])
def test_a_camera_is_understood(server: ServerProcess, sound: Path, tmp_path: Path, codec: str) -> None:
    clip = draw_clip(tmp_path / "a.mp4", fps=10, seconds=4.0, gop=10)
    with RtspServer(clip, sound=(codec, sound)) as rtsp:
        camera = server.camera(codec, rtsp.url, listen="open")
        heard: list[str] = []
        for update in server.updates(camera["session_id"]):
            if update["type"] == DONE:
                heard.append(update["transcript"])
            if len(heard) == len(SENTENCES):
                break
        assert error_rate([(" ".join(SENTENCES), " ".join(heard))], "en") <= MISTAKEN, heard
        kept = f"/v1/events?session_id={camera['session_id']}&type=heard"
        server.wait(lambda: [event["text"] for event in server.call("GET", kept)["data"]][::-1] == heard)
        server.call("DELETE", f"/v1/cameras/{camera['id']}")
