"""Delegated tasks. Until an agent can be configured each fails at once, and says so."""

from __future__ import annotations

from joyvl_server.core.effects import Delegate
from joyvl_server.core.inputs import TaskChanged
from joyvl_server.sessions.sinks.base import SinkContext
from joyvl_server.sessions.sinks.messages import Message, TaskUpdated

NO_AGENT = "No agent is configured, so nobody can look into it."


class TaskSink:
    wants = (Delegate,)

    def __init__(self, context: SinkContext) -> None:
        self._bus = context.bus
        self._machine = context.machine

    def take(self, message: Message) -> None:
        assert isinstance(message, Delegate)
        self._bus.publish(TaskUpdated(message.task_id, "failed", message.question, NO_AGENT))
        self._machine.take(TaskChanged(self._machine.now, message.task_id, "failed", NO_AGENT))
