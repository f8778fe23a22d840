"""What a speech engine is made with."""

from __future__ import annotations

from pathlib import Path

from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.net.policy import NetPolicy
from joyvl_server.speech.base import SpeechContext


def speech_context(models: Path = Path("/nowhere"), clock=None, **options) -> SpeechContext:
    return SpeechContext(options, models, clock or SystemClock(), NetPolicy())
