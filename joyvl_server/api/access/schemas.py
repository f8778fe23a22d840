"""Keys and logins as clients see them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from joyvl_server.api.schemas.common import RequestModel, ResponseModel, printable
from joyvl_server.store.access.records import Role

MOST_CAMERAS = 100

KeyName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(printable)
]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
CameraName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80), AfterValidator(printable)
]


class LoginIn(RequestModel):
    """A key, or the code of a one-time link."""

    key: Secret | None = None
    code: Secret | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.key is None) == (self.code is None):
            raise PydanticCustomError("one_of_two", "Give key or code, one of the two.")
        return self


class MeOut(ResponseModel):
    auth: bool = Field(description="Are keys asked for at all?")
    name: str = Field(description="The key's name, or what stands for it.")
    role: Role
    cameras: list[str] = Field(description="What the key is for; empty: everything.")
    expires_at: str | None
    may: list[str] = Field(
        description="The routes that are for it, as `METHOD /path`; with certain cameras, where these are asked for."
    )


class LoginOut(ResponseModel):
    """A browser that is signed in."""

    id: str
    name: str = Field(description="Of the key that it signed in with, or what stands for it.")
    role: Role
    cameras: list[str] = Field(description="What it is for; empty: everything.")
    address: str = Field(description="From where it signed in; empty: not known.")
    created_at: str
    used_at: str | None = Field(description="When it was last used; null: not known.")
    expires_at: str = Field(description="When it is signed out unless it is used before.")
    this: bool = Field(description="Is it the browser that asks?")


class LoginsOut(ResponseModel):
    data: list[LoginOut]
    next: None


class KeyIn(RequestModel):
    name: KeyName
    role: Role
    cameras: list[CameraName] = Field(
        default_factory=list,
        max_length=MOST_CAMERAS,
        description=(
            "Ids of the cameras that it is for; empty: everything. Of a key with the role `ingest`: the names under "
            "which it may send."
        ),
    )
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        None, description="RFC 3339 time at which it is over. Null: never.", examples=["2027-01-01T00:00:00Z"]
    )

    @model_validator(mode="after")
    def _admins_see_all(self) -> Self:
        if self.cameras and self.role == "admin":
            raise PydanticCustomError("admin_of_all", "An admin's key is for everything; leave cameras out.")
        return self


class KeyOut(ResponseModel):
    id: str
    name: str
    role: Role
    cameras: list[str]
    created_at: str
    expires_at: str | None
    used_at: str | None = Field(description="When it was last used, to the minute; null: never.")
    state: Literal["valid", "expired"]


class NewKeyOut(KeyOut):
    key: str = Field(description="The key itself. It is shown this once.")


class KeysOut(ResponseModel):
    data: list[KeyOut]
    next: None
