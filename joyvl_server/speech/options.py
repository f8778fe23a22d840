"""Options of the engines of speech."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SpeechOptions(BaseModel):
    """Base of what stands under an engine's name; `kit.net.option_checks` reads them. Times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())
