"""Where a server's settings came from, so that they can be read again while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joyvl_server.settings import Settings, load


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """`config`: the YAML file; `flags`: what was given on the command line, as a nested dict. The environment is that
    of the process: it stays as it was at the start, but files that it names are read again."""

    config: Path | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> Settings:
        """The settings as they are now. Raises `ConfigError`. Blocks."""
        return load(self.config, self.flags)
