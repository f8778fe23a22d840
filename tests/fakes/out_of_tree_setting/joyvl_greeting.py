"""A session setting outside joyvl-server's tree."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class Greeting(BaseModel):
    greeting: Annotated[str, Field(max_length=20)] | None = Field(
        None, title="Greeting", description="What is said when the camera comes online."
    )
    greetings_a_day: Annotated[int, Field(ge=1, le=24)] | None = Field(
        None, title="Greetings a day", description="At most this many.", json_schema_extra={"x-reopens": True}
    )
