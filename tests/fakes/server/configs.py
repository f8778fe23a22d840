"""Configs of observers, with the facts about the engine among the other fields."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from joyvl_server.core.config import EngineFacts, ObserverConfig

FACTS = {field.name for field in fields(EngineFacts)}


def make_config(**settings: Any) -> ObserverConfig:
    """`chooses=True` and the like go into the config's `engine`."""
    facts = {name: settings.pop(name) for name in FACTS & settings.keys()}
    return ObserverConfig(engine=EngineFacts(**facts), **settings)
