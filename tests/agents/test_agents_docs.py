"""Every option of every type of agent stands in docs/agents.md, with its default."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from joyvl_server.agents.acp.options import AcpOptions
from joyvl_server.agents.client_agent import ClientAgentOptions
from joyvl_server.agents.openai.options import OpenAIAgentOptions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"


def options(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    """Name and default of each, those of groups too."""
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        group = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if group is None or type(None) in kinds:
            yield above + name, "needed" if field.is_required() else shown(field.get_default(call_default_factory=True))
        if group is not None:
            yield from options(group, f"{above}{name}.")


def shown(default: Any) -> str:
    if default == "":
        return "empty"
    if isinstance(default, float) and default.is_integer():
        default = int(default)
    return f"`{json.dumps(default).strip(chr(34))}`"


@pytest.mark.parametrize(
    ("kind", "model"), [("acp", AcpOptions), ("openai", OpenAIAgentOptions), ("client", ClientAgentOptions)]
)
def test_all_options_are_told(kind, model):
    _, _, section = PAGE.read_text().partition(f"### Options of `{kind}`\n")
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| [^|]{5,} \|$", section, re.MULTILINE)
    assert dict(rows) == dict(options(model))
    assert len(rows) == len(dict(rows))
