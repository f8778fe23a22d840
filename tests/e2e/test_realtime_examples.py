"""The examples of docs/reference/realtime.md, as they stand there, against the real server, voice and ears."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fakes.media.speech import need_speech, spoken
from fakes.patience import PATIENCE_S
from fakes.server.server import ServerProcess
from joyvl_server.kit.audio.pcm import Pcm, Samples
from joyvl_server.kit.audio.resampler import resample

pytestmark = pytest.mark.slow

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "realtime.md"
QUESTION = "Is the front door open?"


def example(name: str, folder: Path) -> Path:
    """The Python block that follows the sentence about this file."""
    found = re.search(rf"^`{re.escape(name)}` .*?```python\n(.*?)```", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, name
    path = folder / name
    path.write_text(found[1])
    return path


@pytest.fixture(scope="module")
def server(speech_env: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    need_speech()
    python, models = speech_env
    environment = {
        "JOYVL_SPEECH__MODELS_DIR": str(models), "JOYVL_SPEECH__ASR": "whisper", "JOYVL_SPEECH__TTS": "espeak",
        "JOYVL_SPEECH__ASR_OPTIONS": json.dumps({"whisper": {"model": "tiny.en", "python": str(python)}}),
    }  # fmt: skip
    with ServerProcess(tmp_path_factory.mktemp("server"), env=environment) as server:
        yield server


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """Somebody asks, with silence before and after it."""
    silence = np.zeros(24_000, np.int16)
    sound = np.concatenate([silence, resample(Pcm(spoken(QUESTION), 16_000), 24_000).samples, silence, silence])
    path = tmp_path / "question.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 24_000, 0, "NONE", ""))
        out.writeframes(sound.tobytes())
    return path


def run(server: ServerProcess, script: Path, *args: Path) -> list[str]:
    """What it prints."""
    environment = {**os.environ, "OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "any"}
    command = [sys.executable, str(script), *map(str, args)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{''.join(server.log[-20:])}"
    return done.stdout.splitlines()


def test_the_websocket(server: ServerProcess, question: Path, tmp_path: Path) -> None:
    told = run(server, example("websocket.py", tmp_path), question)
    assert told[0].startswith("You said: ")
    assert "front door" in told[0]
    assert told[1:] == ["Heard of it: 500 ms", "Response: cancelled", "Response: cancelled"] or told[1:] == [
        "Response: cancelled", "Heard of it: 500 ms", "Response: cancelled",
    ]  # fmt: skip
    server.wait(lambda: server.call("GET", "/v1/sessions")["data"] == [])


def samples(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_the_call(server: ServerProcess, question: Path, tmp_path: Path) -> None:
    told = run(server, example("call.py", tmp_path), question, tmp_path / "answer.wav")
    assert told[0] == "Model: motion"
    assert told[1].startswith("You said: ")
    assert "front door" in told[1]
    assert told[2].startswith("It says: I can't answer questions")
    assert told[3] == "Hung up."
    heard = samples(tmp_path / "answer.wav")
    assert np.sum(np.abs(heard.astype(int)) > 1000) > 24_000
    assert server.call("GET", "/v1/realtime/calls")["data"] == []
