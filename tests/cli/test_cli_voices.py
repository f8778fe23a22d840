"""`joyvl voices`: what there is, getting it, hearing it."""

from __future__ import annotations

import shutil
import wave

import pytest
from typer.testing import CliRunner

from fakes.server.file_server import file_server_in_a_thread
from fakes.server.model_hub import COMMIT, publish
from joyvl_server.cli.main import app
from joyvl_server.core.errors import NotFound
from joyvl_server.speech.voice_catalog import ENTRIES, KOKORO, PIPER, find_voice

VOICE = "de_DE-otto-low"
FOLDER = "de/de_DE/otto/low"
SOUND = bytes(range(256)) * 4000


@pytest.fixture
def hub():
    with file_server_in_a_thread() as server:
        publish(server, PIPER, {
            f"{FOLDER}/{VOICE}.onnx": SOUND, f"{FOLDER}/{VOICE}.onnx.json": b"{}", f"{FOLDER}/MODEL_CARD": b"card",
        }, small=(f"{FOLDER}/{VOICE}.onnx.json", f"{FOLDER}/MODEL_CARD"))  # fmt: skip
        yield server


def run(tmp_path, *arguments):
    return CliRunner().invoke(app, [*arguments, "--data-dir", str(tmp_path)])


def get(hub, tmp_path, name=f"piper:{VOICE}"):
    return run(tmp_path, "voices", "get", name, "--mirror", hub.url)


def test_a_voice_is_fetched_checked_and_where_the_engine_looks(hub, tmp_path):
    result = get(hub, tmp_path)
    assert result.exit_code == 0, result.output
    assert (tmp_path / f"models/voices/{VOICE}.onnx").read_bytes() == SOUND
    assert (tmp_path / f"models/voices/{VOICE}.MODEL_CARD").read_bytes() == b"card"
    assert "3 against that of the Hub" in result.output
    assert f"{VOICE}.onnx: 100 % of 1.0 MB" in result.output
    assert "is there already" in get(hub, tmp_path, VOICE).output


def test_it_goes_on_where_it_broke_off(hub, tmp_path):
    part = tmp_path / f"models/voices/{VOICE}.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(SOUND[:500_000])
    assert get(hub, tmp_path).exit_code == 0
    assert (f"/{PIPER}/resolve/{COMMIT}/{FOLDER}/{VOICE}.onnx", "bytes=500000-") in hub.asked


def test_a_file_that_is_not_what_the_index_says_is_refused(hub, tmp_path):
    hub.files[f"/{PIPER}/resolve/{COMMIT}/{FOLDER}/{VOICE}.onnx"] = SOUND[::-1]
    result = get(hub, tmp_path)
    assert result.exit_code == 1
    assert "hash" in result.stderr
    assert not (tmp_path / f"models/voices/{VOICE}.onnx").exists()


def test_a_pinned_file_is_checked_against_our_own_list(hub, tmp_path):
    joe = "en/en_US/joe/medium/en_US-joe-medium.onnx"
    publish(hub, PIPER, {joe: SOUND, f"{joe}.json": b"{}"})
    result = get(hub, tmp_path, "piper:en_US-joe-medium")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr or "hash" in result.stderr


def test_the_model_of_kokoro_and_a_further_voice(hub, tmp_path):
    names = ("tokenizer.json", "onnx/model_quantized.onnx", "voices/af_heart.bin", "voices/zf_xiaoxiao.bin")
    publish(hub, KOKORO, {name: name.encode() for name in (*names, "voices/zm_yunxi.bin")})
    assert get(hub, tmp_path, "kokoro").exit_code == 0
    assert get(hub, tmp_path, "kokoro:zm_yunxi").exit_code == 0
    there = {str(p.relative_to(tmp_path / "models/kokoro")) for p in (tmp_path / "models/kokoro").rglob("*.*")}
    assert there == {
        "model.onnx", "tokenizer.json", "voices/af_heart.bin", "voices/zf_xiaoxiao.bin", "voices/zm_yunxi.bin",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["nobody", "piper:nobody", "kokoro:../../x", "piper:../x", "whisper-base"])
def test_a_name_that_is_none(hub, tmp_path, name):
    result = get(hub, tmp_path, name)
    assert result.exit_code == 1
    assert "is no" in result.stderr
    assert hub.asked == []


def test_every_entry_can_be_found_and_has_somewhere_to_go():
    for entry in ENTRIES:
        assert find_voice(entry.name) == entry
        assert entry.licence
        targets = [file.target for file in entry.files]
        assert len(set(targets)) == len(targets)
        assert not any(target.startswith("/") or ".." in target for target in targets)
    with pytest.raises(NotFound):
        find_voice("x")


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs Debian's espeak-ng")
def test_a_voice_is_tried_and_listed(tmp_path):
    out = tmp_path / "a.wav"
    result = run(tmp_path, "voices", "try", "espeak:en-us", "Hello there. 3 cars.", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert result.output.count("first sound after") == 2
    with wave.open(str(out)) as file:
        assert file.getnframes() / file.getframerate() > 1
    listed = run(tmp_path, "voices", "list").output
    assert "* browser    the browser's own voices" in listed
    assert "piper:en_US-joe-medium" in listed
    assert run(tmp_path, "voices", "try", "browser").exit_code == 2
    assert run(tmp_path, "voices", "try", "espeak:nobody").exit_code == 1
    for nowhere in ("nowhere/a.wav", "."):
        refused = run(tmp_path, "voices", "try", "espeak:en-us", "Hi.", "--out", str(tmp_path / nowhere))
        assert (refused.exit_code, refused.exception.__class__) == (2, SystemExit), refused.output
        assert "cannot be written" in refused.output
