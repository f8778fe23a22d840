"""Replaceable parts are found through entry-point groups, ours in the same way as anybody's."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from joyvl_server.core.errors import ConfigError

GROUPS = {
    "joyvl.engines": "what decides: silent, speak or delegate",
    "joyvl.session_settings": "what a session may be told beside our own settings",
    "joyvl.sinks": "what takes the messages of each session: alerts, archives and the like",
    "joyvl.tts": "what turns text into speech",
    "joyvl.asr": "what turns speech into text",
    "joyvl.vad": "what hears whether somebody speaks",
    "joyvl.embedders": "what turns text into vectors for the memory",
    "joyvl.memory": "what stays when frames are gone",
    "joyvl.agents": "what does delegated tasks",
    "joyvl.hooks": "what is called at events: webhooks, MQTT and the like",
}
"""Every group, with what a part of it does."""


def names(group: str) -> tuple[str, ...]:
    """Names of the parts installed in a group, sorted. Nothing is imported."""
    return tuple(sorted(_installed(group)))


def load(group: str, name: str) -> object:
    """Import one part. Raises `ConfigError` that says what is installed, or why the part cannot be imported."""
    installed = _installed(group)
    if name not in installed:
        others = ", ".join(sorted(installed)) or "none"
        raise ConfigError(f"There is no {name!r} in {group}. Installed: {others}.")
    offers = installed[name]
    if len(offers) > 1:
        where = ", ".join(sorted(_package(offer) for offer in offers))
        raise ConfigError(f"{name!r} in {group} is offered by more than one package: {where}. Uninstall all but one.")
    try:
        return offers[0].load()
    except (Exception, SystemExit) as error:  # a module of somebody else: whatever it raises, the user needs the reason
        raise ConfigError(
            f"{name!r} in {group} ({offers[0].value}, from {_package(offers[0])}) cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error


def _installed(group: str) -> dict[str, list[EntryPoint]]:
    if group not in GROUPS:
        raise ConfigError(f"There is no group {group!r}. There are: {', '.join(GROUPS)}.")
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        # One package seen twice (installed and as a checkout on the path) is still one offer.
        if all(point.value != other.value for other in found.setdefault(point.name, [])):
            found[point.name].append(point)
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown package"
