"""The reference names every option of every voice, with its default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from joyvl_server.speech.tts.espeak import EspeakOptions
from joyvl_server.speech.tts.kokoro import KokoroOptions
from joyvl_server.speech.tts.openai import OpenAITtsOptions
from joyvl_server.speech.tts.piper import PiperOptions

TEXT = (Path(__file__).parents[3] / "docs/reference/voices.md").read_text("utf-8")
ENGINES = {"espeak": EspeakOptions, "piper": PiperOptions, "kokoro": KokoroOptions, "openai": OpenAITtsOptions}


@pytest.mark.parametrize("engine", ENGINES)
def test_options_are_in_the_reference(engine):
    section = TEXT.partition(f"## `{engine}`\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{name}` | `{json.dumps(info.get_default(call_default_factory=True))}` | {info.description} |"
        for name, info in ENGINES[engine].model_fields.items()
    ]
