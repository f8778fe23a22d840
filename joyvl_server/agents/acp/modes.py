"""In which mode of an agent it asks before it does something; whoever offers none is not used."""

from __future__ import annotations

import re
from typing import Any

from acp.schema import SessionModeState
from pydantic import ValidationError

from joyvl_server.agents.acp.options import AcpOptions
from joyvl_server.agents.acp.presets import Preset
from joyvl_server.agents.base import AgentError

ASKS = ("default", "ask", "manual", "read-only", "readonly", "plan")
"""what such modes are called; for agents that nobody has described"""
_UNASKED = re.compile(r"(?i)bypass|yolo|auto|full|never|don.?t.?ask|accept|danger|unsafe|free|allow")
UNASKED_HINT = "With `unasked: true` it may run all the same, and then does whatever it likes."


def offered_modes(opened: dict[str, Any]) -> list[str]:
    """Of the answer to `session/new` or `session/load`: the ids, as modes or as the option that stands for them."""
    try:
        modes = SessionModeState.model_validate(opened.get("modes")).available_modes
        return [mode.id for mode in modes]
    except ValidationError:
        pass
    options = opened.get("configOptions")
    for option in options if isinstance(options, list) else ():
        if isinstance(option, dict) and option.get("category") == "mode" and isinstance(option.get("options"), list):
            return [each["value"] for each in option["options"] if isinstance(each, dict) and "value" in each]
    return []


def choose_mode(offered: list[str], preset: Preset, options: AcpOptions) -> str | None:
    """The mode to set; None: the one it is in, which is allowed. Raises `AgentError` (unasked)."""
    if options.mode is not None and offered and options.mode not in offered:
        raise AgentError(f"It has no mode {options.mode}. It has: {', '.join(offered)}.", code="unasked")
    if preset.works_elsewhere:
        if not options.unasked:
            raise AgentError(f"{preset.works_elsewhere} {UNASKED_HINT}", code="unasked")
        return options.mode
    if options.mode is not None:
        if not options.unasked and not asks(options.mode, preset):
            raise AgentError(f"In its mode {options.mode} it may not ask. {UNASKED_HINT}", code="unasked")
        return options.mode
    for mode in preset.ask_modes or ASKS:
        if mode in offered:
            return mode
    if preset.asks_by_settings or options.unasked:
        return None
    has = f"It has: {', '.join(offered)}." if offered else "It has no modes."
    raise AgentError(f"It offers no mode in which it is known to ask. {has} {UNASKED_HINT}", code="unasked")


def asks(mode: str, preset: Preset) -> bool:
    """For an agent that nobody has described a name is believed, unless it says the contrary."""
    if preset.ask_modes:
        return mode in preset.ask_modes
    return mode in ASKS or not _UNASKED.search(mode)
