"""A session as OpenAI's clients see it: in `session.created`, `session.updated` and with a client secret."""

from __future__ import annotations

from typing import Any

from joyvl_server.api.schemas.calls import CallSession
from joyvl_server.api.schemas.realtime import RATE, AudioInput, AudioOutput, VoiceId, engine_of

FORMAT = {"type": "audio/pcm", "rate": RATE}


def session_shape(session: CallSession, engine: str) -> dict[str, Any]:
    """`engine`: the name of the default one. What was taken and changes nothing is not shown."""
    given = session.audio
    heard = (given and given.input) or AudioInput()
    said = (given and given.output) or AudioOutput()
    voice = said.voice.id if isinstance(said.voice, VoiceId) else said.voice
    turns = heard.turn_detection
    return {
        "type": "realtime",
        "model": engine_of(session.model) or engine,
        "instructions": session.instructions or "",
        "output_modalities": [session.modality],
        "tools": [],
        "audio": {
            "input": {
                "format": FORMAT,
                "transcription": None
                if heard.transcription is None
                else heard.transcription.model_dump(exclude_none=True),
                "noise_reduction": None,
                "turn_detection": None if turns is None else turns.model_dump(exclude_none=True),
            },
            "output": {"format": FORMAT, "voice": voice or "auto", "speed": 1.0},
        },
    }
