"""Closes questions in the session's list when the machine is done with them."""

from __future__ import annotations

from joyvl_server.core.effects import QueryClosed
from joyvl_server.core.prompt.notices import WITHDRAWN
from joyvl_server.sessions.sinks.base import SinkContext
from joyvl_server.sessions.sinks.messages import Message, QueryEnded, RequestWithdrawn


class QuerySink:
    wants = (QueryClosed,)

    def __init__(self, context: SinkContext) -> None:
        self._bus = context.bus
        self._queries = context.queries

    def take(self, message: Message) -> None:
        assert isinstance(message, QueryClosed)
        view = self._queries.close(message.id, message.reason, message.answer)
        if view is not None:
            self._bus.publish(QueryEnded(view, message.epoch))
        if message.reason == WITHDRAWN:
            self._bus.publish(RequestWithdrawn(message.id))
