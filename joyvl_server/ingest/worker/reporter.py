"""How a source in a worker reaches main: its states, its sound, and what its client sends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from joyvl_server.ingest.channel import Channel, Message
from joyvl_server.ingest.worker.publisher import SourceReport


class ChannelReporter:
    """Sends the states of one source to main, and what is to tell of its sound, from any thread."""

    def __init__(self, channel: Channel, source_id: str) -> None:
        self._channel = channel
        self._source_id = source_id
        self._loop = asyncio.get_running_loop()

    def report(self, report: SourceReport) -> None:
        self._send({"event": "state", "source": self._source_id, **report.to_dict()})

    def send_text(self, text: str | None) -> None:
        """What the client sent over its data channel; None: that is there."""
        self._send({"event": "client", "source": self._source_id, "text": text})

    def send_audio(self, message: Message) -> None:
        self._send({"event": "audio", "source": self._source_id, **message})

    def _send(self, event: Message) -> None:
        with suppress(RuntimeError):  # the loop is closed: the worker ends
            self._loop.call_soon_threadsafe(send, self._channel, event)


def send(channel: Channel, message: Message) -> None:
    """From the worker's loop. Main may be gone."""
    with suppress(ConnectionError):
        channel.send(message)
