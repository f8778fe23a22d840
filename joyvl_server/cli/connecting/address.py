"""Which server a command asks, and with which key: what is given counts, then what the data folder tells."""

from __future__ import annotations

from urllib.parse import urlsplit

from joyvl_server.api.listening.started import as_started
from joyvl_server.cli.exits import errors_as_exit_codes
from joyvl_server.core.errors import ConfigError, JoyvlError
from joyvl_server.settings import Settings, load

URL_VARIABLE = "JOYVL_URL"
ALL_ADDRESSES = ("", "0.0.0.0", "::")


def chosen_server(given: str) -> str:
    """The address that a command asks. `given`: what its option or `JOYVL_URL` says; empty: the server that has the
    data folder of these settings, or the one that they would start. Ends the program with a sentence where it is no
    address. Blocks shortly."""
    if given.strip():
        with errors_as_exit_codes():
            return checked_address(given)
    try:
        return own_address(load())
    except ConfigError:
        return own_address(Settings())


def checked_address(given: str) -> str:
    """Without a slash at its end. Raises `ConfigError` where it is no address of a server."""
    address = given.strip()
    try:
        parts = urlsplit(address)
        right = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        right = False
    if not right or not address.isprintable() or " " in address:
        raise ConfigError(f"{address[:100]} is no address. Write one like http://127.0.0.1:8099 or https://joyvl.lan.")
    return address.rstrip("/")


def own_address(settings: Settings) -> str:
    """Of the server that has the data folder, with the flags that it was started with; where none has it, of the one
    that these settings start. Blocks shortly."""
    server = as_started(settings).server
    host = server.host.strip("[]")
    host = "127.0.0.1" if host in ALL_ADDRESSES else host
    scheme = "http" if server.tls == "off" else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"


def key_headers(key: str | None) -> dict[str, str]:
    """Raises `JoyvlError` for what no key can be: a header could not even carry it."""
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise JoyvlError(
            "This is no API key: a key has only ASCII letters, digits and signs. Look at --key, JOYVL_KEY."
        )
    return {"Authorization": f"Bearer {key}"}


def told_of_nobody(server: str) -> str:
    return (
        f"No server answers at {server}. Is it running? Start it with: joyvl serve. If it runs elsewhere, name its "
        f"address in {URL_VARIABLE} or with --server; one on this machine is found by its JOYVL_DATA_DIR."
    )
