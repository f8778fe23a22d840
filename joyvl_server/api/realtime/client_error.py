"""What a client did wrong, as it is told: an `error` event, and the connection goes on."""

from __future__ import annotations

from pydantic import ValidationError

from joyvl_server.api.http.problems import field_error
from joyvl_server.core.errors import JoyvlError

DEFAULT = "invalid_value"


class ClientError(JoyvlError):
    """`param`: the field that is wrong."""

    def __init__(self, message: str, code: str | None = None, *, param: str | None = None) -> None:
        super().__init__(message, code=code or DEFAULT)
        self.param = param


def invalid(error: ValidationError, at: str = "") -> ClientError:
    """The first thing that is wrong with a client's event."""
    found = field_error(error.errors(include_url=False)[0])
    field = ".".join(filter(None, (at, found["field"])))
    code = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}.get(found["code"])
    return ClientError(f"{field}: {found['message']}", code or "invalid_value", param=field)
