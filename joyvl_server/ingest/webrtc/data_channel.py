"""The data channel `oai-events` of a call: JSON texts from and to a Realtime client, as many as its bounds allow."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Protocol

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from joyvl_server.core.errors import SourceError

LABEL = "oai-events"
MAX_TEXT = 65_536
"""bytes of one message, as our SDP says too"""
MAX_WAITING = 1_000_000
"""bytes that may wait for a client that does not read"""
BYTES_A_SECOND = 500_000.0
BURST_BYTES = 1_000_000.0
MESSAGE_BYTES = 200
"""what each message costs besides its bytes"""


class TextSender(Protocol):
    """Takes the texts of one client to main."""

    def send_text(self, text: str | None) -> None:
        """None: the channel is there. Does not block."""


class EventsChannel:
    """On the worker's loop. What comes too fast, or is no text, is passed over."""

    def __init__(self, sender: TextSender) -> None:
        self.dropped = 0
        self._sender = sender
        self._channel: RTCDataChannel | None = None
        self._credit = BURST_BYTES
        self._counted_at = time.monotonic()

    def opened(self, channel: RTCDataChannel) -> None:
        """The client has opened a channel. Another one with our label takes the place of the first."""
        if channel.label != LABEL:
            return
        self._channel = channel
        channel.on("message", self._came)
        self._sender.send_text(None)

    def send(self, text: str) -> None:
        """Raises `SourceError`: no_channel, or busy where the client does not read."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            raise SourceError("The client has no open data channel.", code="no_channel")
        if channel.bufferedAmount > MAX_WAITING:
            raise SourceError("The client does not read its data channel.", code="busy")
        with suppress(InvalidStateError):
            channel.send(text)

    def _came(self, message: str | bytes) -> None:
        now = time.monotonic()
        self._credit = min(BURST_BYTES, self._credit + (now - self._counted_at) * BYTES_A_SECOND)
        self._counted_at = now
        # A character takes up to six bytes on its way to main.
        cost = MESSAGE_BYTES + 2 * len(message)
        if not isinstance(message, str) or len(message) > MAX_TEXT or cost > self._credit:
            self.dropped += 1
            return
        self._credit -= cost
        self._sender.send_text(message)
