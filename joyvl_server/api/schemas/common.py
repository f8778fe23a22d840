"""What all bodies share: strict input, bounded words, pages, the problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T")

MAX_PAGE = 500


class RequestModel(BaseModel):
    """A body or query as clients send it: an unknown field or a wrong type is an error that names the field."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ResponseModel(BaseModel):
    """The shape of an answer, for the documentation and the tests; answers are built from payloads."""

    model_config = ConfigDict(extra="ignore")


def printable(text: str) -> str:
    if any(not (c.isprintable() or c in "\n\t") for c in text):
        raise PydanticCustomError("not_printable", "This text holds characters that cannot be shown.")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(printable)
]


def without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def optional_field(**more: Any) -> Any:
    """A field of a PATCH that may be left out (`model_fields_set` tells), but not be null."""
    return Field(default=None, json_schema_extra=without_default, **more)


class PatchModel(RequestModel):
    """Fields left out stay as they are."""

    def changes(self) -> dict[str, Any]:
        """What was given, by the fields' names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class PageQuery(RequestModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    limit: int = Field(100, ge=1, le=MAX_PAGE, description="At most this many.")
    after: str | None = Field(
        None, pattern=r"^[a-z]{1,16}_[0-9a-z]{26}$", description="The cursor `next` of the page before."
    )


def paginated(items: Sequence[T], key: Callable[[T], str], query: PageQuery) -> tuple[list[T], str | None]:
    """(items after the cursor in the order of their ids, the next cursor). Ids grow with time, so pages hold still."""
    ordered = sorted(items, key=key)
    if query.after is not None:
        ordered = [item for item in ordered if key(item) > query.after]
    shown = ordered[: query.limit]
    return shown, key(shown[-1]) if len(ordered) > len(shown) else None


class FieldProblem(ResponseModel):
    field: str = Field(description="Dotted path of the field; empty when the whole body is meant.")
    message: str
    code: str


class Problem(ResponseModel):
    """RFC 9457."""

    type: str = Field(examples=["urn:joyvl:problem:not_found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no camera cam_01."])
    code: str = Field(description="A stable word for programs.", examples=["not_found"])
    errors: list[FieldProblem] | None = None
