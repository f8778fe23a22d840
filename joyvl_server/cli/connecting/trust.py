"""Which certificates a command believes that talks to a running server.

A self-signed server keeps its certificate in its data folder. A command on the same machine reads it there; one on
another machine is given a copy in `JOYVL_CA`. Names are checked in any case, and nothing is ever taken unchecked.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.kit.tls.contexts import CERTIFICATE, FOLDER, client_context
from joyvl_server.settings import default_data_dir, is_loopback, load

CA_VARIABLE = "JOYVL_CA"


def trust_for(server: str) -> bool | ssl.SSLContext:
    """For `verify` of the HTTP client. Raises `JoyvlError` where the file in `JOYVL_CA` is none."""
    if not server.lower().startswith("https:"):
        return True
    named = os.environ.get(CA_VARIABLE)
    if not named:
        own = own_certificate()
        try:
            return client_context([own] if own.exists() else [])
        except OSError:
            return client_context([])
    try:
        return client_context([Path(named).expanduser()])
    except OSError as error:
        raise JoyvlError(f"{CA_VARIABLE}: {named} holds no certificate: {error.strerror or error}.") from None


def own_certificate() -> Path:
    """Where a self-signed server of these settings (environment, `JOYVL_CONFIG`) keeps its certificate."""
    try:
        data_dir = load().data_dir
    except ConfigError:
        data_dir = default_data_dir()
    return data_dir / FOLDER / CERTIFICATE


def https_instead(server: str, answer: httpx2.Response) -> str | None:
    """The address to ask again: this port of this machine speaks https. Elsewhere a key has just gone over the network
    in the clear, so its owner is told instead."""
    parts = urlsplit(server)
    if answer.status_code != 400 or parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        return None
    try:
        content = answer.json()
    except ValueError:
        return None
    said = isinstance(content, dict) and content.get("code") == "https_only"
    return f"https://{parts.netloc}" if said else None


def told_of_distrust(server: str, error: BaseException) -> str | None:
    """A sentence where the error is a certificate that is not trusted; else None."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message or cause.reason or "not trusted"
            return (
                f"The certificate of {server} is not trusted: {reason.rstrip('.')}. If the server is yours, copy "
                f"{FOLDER}/{CERTIFICATE} of its data folder here and name that file in {CA_VARIABLE}; on its own "
                "machine, JOYVL_DATA_DIR is enough."
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(10):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
