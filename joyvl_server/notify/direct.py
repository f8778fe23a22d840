"""How the package apprise connects: to the address that was checked at that moment, through no proxy, without `.netrc`.

Its services call `requests` and `smtplib` by those names, so these names mean the classes here in its modules, and
nowhere else.
"""

from __future__ import annotations

import smtplib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from joyvl_server.core.errors import JoyvlError

METHODS = ("get", "options", "head", "post", "put", "patch", "delete")
_thread = threading.local()


@contextmanager
def connecting(checked: Callable[[str], str]) -> Iterator[list[JoyvlError]]:
    """In this thread connections go to what `checked` makes of a host name; it may raise `JoyvlError`.

    What it raised is in the list: services swallow it.
    """
    refused: list[JoyvlError] = []
    _thread.checked, _thread.refused = checked, refused
    try:
        yield refused
    finally:
        del _thread.checked, _thread.refused


def use_in(package: str) -> None:
    """All modules of a package that are imported connect like this from now on. Idempotent."""
    names = {"requests": (requests, DirectRequests("requests")), "smtplib": (smtplib, DirectMail("smtplib"))}
    for name, module in list(sys.modules.items()):
        if name == package or name.startswith(f"{package}."):
            for used, (real, ours) in names.items():
                if getattr(module, used, None) is real:
                    setattr(module, used, ours)


def _address(host: str) -> str:
    checked = getattr(_thread, "checked", None)
    if checked is None:
        raise OSError("No message is being sent.")
    try:
        found: str = checked(host)
    except JoyvlError as error:
        _thread.refused.append(error)
        raise OSError(str(error)) from None
    return found


class _Pinned:
    """The name stays in `Host` and in the certificate's check."""

    _dns_host: str

    def _new_conn(self) -> Any:
        name = self._dns_host
        self._dns_host = _address(name)
        try:
            return super()._new_conn()  # type: ignore[misc]
        finally:
            self._dns_host = name


class _Http(_Pinned, HTTPConnection):
    pass


class _Https(_Pinned, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class DirectSession(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.mount("http://", _Adapter())
        self.mount("https://", _Adapter())


class DirectRequests(ModuleType):
    """In place of the module `requests`."""

    Session = DirectSession

    def __getattr__(self, name: str) -> Any:
        return partial(self.request, name.upper()) if name in METHODS else getattr(requests, name)

    def request(self, method: str, url: str, **named: Any) -> requests.Response:
        with DirectSession() as session:
            return session.request(method=method, url=url, **named)


class _Smtp(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        return super()._get_socket(_address(host), port, timeout)  # type: ignore[misc]


class _SmtpSsl(smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        return super()._get_socket(_address(host), port, timeout)  # type: ignore[misc]


class DirectMail(ModuleType):
    """In place of the module `smtplib`."""

    SMTP = _Smtp
    SMTP_SSL = _SmtpSsl

    def __getattr__(self, name: str) -> Any:
        return getattr(smtplib, name)
