"""A client secret is used up by the connection that it opens, and decides what session that has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import HTTPConnection

from joyvl_server.api.context import ApiContext
from joyvl_server.api.http.auth import key_of
from joyvl_server.api.schemas.calls import CallSession


@contextmanager
def secret_used(api: ApiContext, connection: HTTPConnection, wanted: CallSession) -> Iterator[CallSession]:
    """The session to open. It comes with the secret where there is one; only a secret without one leaves the choice to
    the client. Where the block fails, the secret may be used again. Raises `NotAllowed` for one that is over."""
    key = key_of(connection)
    secret = api.secrets.take(key)
    if secret is None or key is None:
        yield wanted
        return
    try:
        yield secret.session if secret.session.model_fields_set else wanted
    except BaseException:
        api.secrets.give_back(key, secret)
        raise
