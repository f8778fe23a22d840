"""Settings of what stays when frames are gone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from joyvl_server.settings.group import Group
from joyvl_server.settings.values import Key


class MemorySettings(Group):
    embedder: str = Field(
        "auto",
        description=(
            "What finds memories by meaning, by its entry-point name: `e5`, `minilm`, `openai`, "
            "`sentence_transformers`, or `lexical`, which needs nothing and compares words. `auto`: `e5` where "
            "`joyvl models get e5` has fetched it, else `lexical`. After a change the old one goes on until every "
            "memory is embedded by the new one."
        ),
    )
    options: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        repr=False,
        description="Settings of each embedder under its name. See docs/memory.md.",
    )
    embed_timeout_s: float = Field(
        0.5,
        gt=0,
        le=30,
        description="Longest time a question may take to be embedded, in seconds; after that only its words count.",
    )
    chroma_url: str | None = Field(
        None, description="Address of a Chroma server, like `http://chroma:8000`. Null: Chroma in the data folder."
    )
    chroma_key: Key | None = Field(None, description="Key that the Chroma server asks for.")
    recall_tokens: int = Field(
        600, ge=64, le=8000, description="Tokens that memories may take in the prompt of one question."
    )
    recall_memories: int = Field(8, ge=1, le=50, description="Memories that one question may bring up.")
    across_cameras: bool = Field(
        True, description="Whether a question to one camera may bring up what other cameras have seen."
    )
    days: float | None = Field(
        None, gt=0, description="Days after which memories are deleted unless they are kept. Null: never for their age."
    )
    max_memories: int = Field(
        200_000, ge=100, description="Memories in the database; the server deletes the oldest that are not kept."
    )

    @field_validator("chroma_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
                raise ValueError("write the address of a Chroma server like http://host:8000, a key into chroma_key")
        return url
