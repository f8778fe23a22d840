"""The connection to an MQTT broker: opened to the address that was checked, with a last will, closed for certain."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiomqtt

from joyvl_server.notify.base import DeliveryFailed, NetCheck
from joyvl_server.notify.mqtt.options import MqttOptions

CONNECT_S = 10.0
"""The broker may take to answer, and to confirm a message."""
CLOSE_S = 2.0
KEEPALIVE_S = 30
"""A broker that is silent is asked in such pauses, and given up after one and a half."""
WAITING = 100
"""messages from the broker that may wait for us; further ones are dropped"""
LOGIN_CODES = (4, 5, 134, 135)


def client_id(hook_id: str) -> str:
    """Who a hook is for its broker, which keeps one connection for each."""
    return f"joyvl-{hook_id}"


class BrokerClient(aiomqtt.Client):
    """A client that can be given up at once, also while it connects, and that says so where it waits for nothing."""

    async def confirmed(self, topic: str, payload: bytes) -> None:
        """Publish at least once. Raises `aiomqtt.MqttError`, at once where the connection is lost. Cancelled, it may
        be published all the same."""
        publishing = asyncio.ensure_future(self.publish(topic, payload, qos=1))
        try:
            await asyncio.wait({publishing, self._disconnected}, return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                raise aiomqtt.MqttError("The connection was lost.")
            publishing.result()
        finally:
            publishing.cancel()

    _abandoned = False

    def abandon(self) -> None:
        """Close the socket, whatever goes on. The broker sends the last will. Idempotent."""
        self._abandoned = True
        found = self._client.socket()
        if found is not None:
            self._client._sock_close()  # there is no public way without waiting for the broker
        if self._misc_task is not None:
            self._misc_task.cancel()

    def _client_connect(self) -> None:
        """Runs in a thread, which may come to its end when nobody waits any more."""
        super()._client_connect()
        if self._abandoned:
            self._loop.call_soon_threadsafe(self.abandon)


class Broker:
    """How the broker of a hook is reached. `will`: the topic on which the broker says `offline` when we are lost."""

    def __init__(self, options: MqttOptions, net: NetCheck, identifier: str, will: str | None = None) -> None:
        self._options = options
        self._net = net
        self._identifier = identifier
        self._will = will

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[BrokerClient]:
        """A connected client. Raises `DeliveryFailed` and `NotAllowed` in words without secrets; inside the block its
        methods raise `aiomqtt.MqttError`. Cancelled, nothing of it stays open."""
        address = await self._net.address(self._options.host)
        client = await self._client(address)
        try:
            async with asyncio.timeout(CONNECT_S + 5):
                await client.__aenter__()
        except TimeoutError:
            client.abandon()
            raise DeliveryFailed(f"The broker {self._shown} does not answer.") from None
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            client.abandon()
            raise DeliveryFailed(self._words(error)) from None
        except BaseException:
            client.abandon()
            raise
        try:
            yield client
        finally:
            with suppress(aiomqtt.MqttError, TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_S):
                    await client.__aexit__(None, None, None)
            client.abandon()

    async def _client(self, address: str) -> BrokerClient:
        options = self._options
        security: dict[str, Any] = {}
        if options.tls:
            try:
                security["tls_context"] = await asyncio.to_thread(_context, options, options.host)
            except (ssl.SSLError, ValueError):
                raise DeliveryFailed(
                    "The certificate in the option ca is not one: give it as PEM text.", retry=False
                ) from None
            security["tls_insecure"] = None if options.tls_verify else True
        client = BrokerClient(
            address,
            options.at_port,
            username=options.username,
            password=options.password.get_secret_value() if options.password else None,
            identifier=self._identifier,
            will=aiomqtt.Will(self._will, b"offline", qos=1, retain=True) if self._will else None,
            clean_session=True,
            timeout=CONNECT_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=WAITING,
            max_queued_outgoing_messages=1000,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            **security,
        )
        client.pending_calls_threshold = 1000
        # Where PySocks is installed it would go through a proxy that the environment names.
        client._client._get_proxy = lambda: None  # type: ignore[method-assign]
        return client

    @property
    def _shown(self) -> str:
        return f"{self._options.host}:{self._options.at_port}"

    def _words(self, error: Exception) -> str:
        code = getattr(error, "rc", None)
        if getattr(code, "value", code) in LOGIN_CODES:
            return f"The broker {self._shown} refuses the login. Check username and password."
        if isinstance(error, aiomqtt.MqttCodeError):
            return f"The broker {self._shown} refuses the connection: {error}."
        text = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return (
                f"The certificate of the broker {self._shown} is not trusted. Give the one that signed it in the "
                "option ca."
            )
        if "timed out" in text:
            return f"The broker {self._shown} does not answer."
        return f"The broker {self._shown} cannot be reached: {text[:200]}."


class _NamedContext(ssl.SSLContext):
    """It asks for the certificate of a name, while the connection goes to the address that was checked."""

    name: str

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **{**named, "server_hostname": self.name})


def _context(options: MqttOptions, name: str) -> ssl.SSLContext:
    """Reads the system's certificates: it blocks. Raises `ssl.SSLError`, `ValueError`."""
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not options.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif options.ca:
        context.load_verify_locations(cadata=options.ca)
    else:
        context.load_default_certs()
    return context
