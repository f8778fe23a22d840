"""Settings that cannot work, alone or together."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from joyvl_server.cli.doctor.examination import sentences
from joyvl_server.cli.doctor.report import Finding, ok, problem, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.cli.upkeep.settings_checks import check_engines, check_memory, check_speech
from joyvl_server.core.errors import ConfigError
from joyvl_server.settings import Settings, check_listen, is_loopback

LEAST_TURNS = 20
"""A context that holds fewer seconds than this forgets what it has just seen."""
TURN_TOKENS = 270
WHERE = "docs/reference/settings.md describes every setting; joyvl config show prints yours."


class SettingsCheck:
    """See `Check`. `errors`: what is wrong with the file or the environment, so that defaults were taken instead."""

    name = "settings"
    limit_s = 30.0

    def __init__(self, settings: Settings, errors: ConfigError | None = None) -> None:
        self._settings = settings
        self._errors = errors

    async def run(self) -> Iterable[Finding]:
        return await off_loop(self._look)

    def _look(self) -> list[Finding]:
        if self._errors is not None:
            found = [problem(sentence, WHERE) for sentence in sentences(self._errors)]
            return [*found, warning("Everything below was looked at with the default settings.", "Correct them first.")]
        found = []
        for check in (check_listen, check_engines, check_speech, check_memory):
            try:
                check(self._settings)
            except ConfigError as error:
                found += [problem(sentence, WHERE) for sentence in sentences(error)]
        found += self._together()
        return found or [ok("The settings fit together.")]

    def _together(self) -> Iterable[Finding]:
        settings = self._settings
        sessions, server = settings.sessions, settings.server
        left = sessions.context_tokens - sessions.memory_tokens - settings.memory.recall_tokens
        if left < LEAST_TURNS * TURN_TOKENS:
            yield problem(
                f"sessions.context_tokens ({sessions.context_tokens}) leaves {max(0, left)} tokens for pictures beside "
                f"the memory: fewer than {LEAST_TURNS} seconds.",
                "Raise sessions.context_tokens, or lower sessions.memory_tokens and memory.recall_tokens.",
            )
        own = settings.engine.options.get(settings.engine.name, {})
        limit = own.get("context_tokens")
        if isinstance(limit, int) and limit < sessions.context_tokens:
            yield warning(
                f"sessions.context_tokens ({sessions.context_tokens}) is more than the engine takes "
                f"(engine.options.{settings.engine.name}.context_tokens, {limit}): sessions are cut to that.",
                f"Set sessions.context_tokens to {limit * 4 // 5}.",
            )
        pixels = own.get("max_pixels")
        if isinstance(pixels, int) and pixels < settings.media.max_pixels:
            yield warning(
                f"media.max_pixels ({settings.media.max_pixels}) is more than engine.options.{settings.engine.name}."
                f"max_pixels ({pixels}): the engine makes the pictures smaller again.",
                "Set both to the same value.",
            )
        host = urlsplit(server.public_url).hostname or ""
        if host and is_loopback(host) and not is_loopback(server.host):
            yield warning(
                "server.public_url names this machine itself: links in alerts open nowhere else.",
                "Write the name or address under which phones reach this server.",
            )
