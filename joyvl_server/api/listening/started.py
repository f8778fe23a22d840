"""With which settings a server runs that was started with flags, which are in no file and no variable."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from joyvl_server.settings import ServerSettings, Settings
from joyvl_server.store.folder import holder_of

TOLD = ("host", "port", "tls", "tls_cert", "tls_key", "public_url")


def told_at_start(settings: Settings, port: int) -> dict[str, Any]:
    """For `tell_start`. `port`: the one that it listens on."""
    told = settings.server.model_dump(mode="json", include=set(TOLD))
    return {**told, "port": port}


def as_started(settings: Settings) -> Settings:
    """`settings` with the addresses of the server that has the data folder, where one has it. Blocks shortly."""
    holder = holder_of(settings.data_dir)
    told = {name: holder.started_with[name] for name in TOLD if name in holder.started_with} if holder else {}
    try:
        server = ServerSettings.model_validate({**settings.server.model_dump(), **told})
    except ValidationError:  # of a server of another version
        return settings
    return settings.model_copy(update={"server": server})
