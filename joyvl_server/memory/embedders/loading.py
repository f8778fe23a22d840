"""Which embedder the settings mean."""

from __future__ import annotations

from typing import cast

from joyvl_server.kit import plugins
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.memory.base import Embedder, EmbedderContext, EmbedderFactory
from joyvl_server.memory.embedders.options import OPTIONS, OpenAIEmbedderOptions
from joyvl_server.memory.models import CATALOGUE
from joyvl_server.settings import Settings

GROUP = "joyvl.embedders"
DEFAULT = "lexical"
BEST = "e5"


def chosen_name(settings: Settings) -> str:
    """`auto` resolved. Looks at the disk."""
    name = settings.memory.embedder
    if name != "auto":
        return name
    return BEST if CATALOGUE[BEST].is_there(settings.speech_models_dir) else DEFAULT


def open_embedder(settings: Settings, name: str) -> Embedder:
    """By its entry-point name. Blocking: it may load weights. Raises `ConfigError`, `EmbedderError`."""
    factory = cast(EmbedderFactory, plugins.load(GROUP, name))
    return factory(settings.memory.options.get(name, {}), EmbedderContext(settings.speech_models_dir))


def check_embedders(settings: Settings) -> None:
    """Whether the options are right, without loading any weights. Raises `ConfigError`."""
    memory = settings.memory
    for name in dict.fromkeys([memory.embedder, *memory.options]):
        if name in OPTIONS:
            where = f"memory.options.{name}"
            options = validated(OPTIONS[name], memory.options.get(name, {}), where)
            if isinstance(options, OpenAIEmbedderOptions):
                options.key(where)
