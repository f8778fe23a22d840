"""Delegated tasks of a session: handed to the queue, followed, and told once to the machine and to people.

What came of a task is delivered when an utterance that tells it was heard to its end, or when a client says that it was
shown. Until then each later session of the same camera is told again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, TypeVar

import structlog

from joyvl_server.agents.draft import TaskDraft
from joyvl_server.core.effects import Delegate, TaskTold, UtteranceDone
from joyvl_server.core.errors import JoyvlError
from joyvl_server.core.inputs import QueryWithdrawn, TaskChanged
from joyvl_server.kit.ids import new_id
from joyvl_server.sessions.delegation.permission_words import said_yes
from joyvl_server.sessions.sinks.base import QueuedSink, SinkContext
from joyvl_server.sessions.sinks.messages import (
    Failure,
    HeardDone,
    Message,
    PlaybackStopped,
    QueryOpened,
    SessionStarted,
    TaskUpdated,
    UtteranceShown,
)
from joyvl_server.store.tasks import Delivery, TaskRecord

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")
NOBODY = "There is no agent that could look into it."
"""said aloud; people who read are told how to get one"""
KEPT = 64
"""utterances and tasks that are remembered"""


class TaskSink(QueuedSink):
    wants = (
        SessionStarted, Delegate, TaskTold, UtteranceDone, PlaybackStopped, UtteranceShown, HeardDone, QueryOpened,
    )  # fmt: skip

    def __init__(self, context: SinkContext) -> None:
        self._record = context.record
        self._bus = context.bus
        self._machine = context.machine
        self._queries = context.queries
        self._clock = context.deps.clock
        self._delegation = context.delegation
        self._queue = context.delegation.queue
        self._own: OrderedDict[str, str] = OrderedDict()
        """our tasks → what the machine calls them"""
        self._told: OrderedDict[int, tuple[str, ...]] = OrderedDict()
        """utterances → the tasks whose outcomes they tell"""
        self._lengths: OrderedDict[int, int] = OrderedDict()
        self._asking: dict[str, TaskRecord] = {}
        """tasks that wait for a permission"""
        self._leave = self._queue.listen(self)

    async def handle(self, message: Message) -> None:
        """One after the other. Cancelled, a task that is being handed over is handed over or not."""
        match message:
            case SessionStarted():
                await self._take_up()
            case Delegate():
                await self._hand_over(message)
            case TaskTold(task_ids, epoch):
                _remember(self._told, epoch, task_ids)
            case UtteranceDone(epoch, _, _, text):
                self._delegation.heard("you", text)
                _remember(self._lengths, epoch, len(text.rstrip()))
            case PlaybackStopped(epoch, heard):
                if heard >= self._lengths.get(epoch, heard + 1):
                    await self._deliver(self._told.pop(epoch, ()), "spoken")
            case UtteranceShown(epoch):
                await self._deliver(self._told.pop(epoch, ()), "shown")
            case HeardDone(_, text, addressed):
                self._delegation.heard("person", text)
                if addressed:
                    await self._answered(text)
            case QueryOpened(query, _, asker):
                self._delegation.heard("person", query.text)
                if asker.allows and await self._answered(query.text):
                    self._queries_done(query.id)

    def dropped(self, message: Message) -> None:
        self._bus.publish(Failure("task_not_handed_over", "Too much came at once."))

    async def aclose(self) -> None:
        self._leave()

    # ------------------------------------------------------------------------------------------------- from the queue

    def task_changed(self, task: TaskRecord) -> None:
        """See `TaskListener`."""
        own = task.session_id == self._record.id
        if not own and (task.camera_id is None or task.camera_id != self._record.camera_id):
            return
        self._bus.publish(TaskUpdated(task))
        asking = self._asking.pop(task.id, None)
        if task.status == "waiting" and task.permission is not None:
            self._asking[task.id] = task
            if asking is None or asking.permission != task.permission:
                self._tell(task)
        elif task.ended and task.delivered is None:
            self._tell(task)

    def _tell(self, task: TaskRecord) -> None:
        """The machine is told what came of it, or what its agent wants."""
        if task.status == "waiting" and task.permission is not None:
            result = _asked_aloud(task.agent, task.permission)
        else:
            result = task.digest if task.status == "completed" else task.error or ""
        name = self._own.get(task.id, task.id)
        wall = self._clock.wall()
        self._machine.take(TaskChanged(self._machine.now, name, task.status, result, task.question, wall))

    async def _take_up(self) -> None:
        """What nobody was told of yet, of this session or an earlier one of its camera."""
        for task in await self._queue.undelivered(session_id=self._record.id, camera_id=self._record.camera_id):
            self._tell(task)

    # ------------------------------------------------------------------------------------------------ from the session

    async def _hand_over(self, wanted: Delegate) -> None:
        draft = TaskDraft(wanted.question, origin="model", note=wanted.note, t=wanted.t)
        try:
            task = await self._delegation.hand_over(draft)
        except JoyvlError as error:
            self._refused(wanted, error)
            return
        if task.id in self._own:
            # The model asked the same again: the first one is told when it is done.
            self._machine.take(TaskChanged(self._machine.now, wanted.task_id, "cancelled"))
            return
        _remember(self._own, task.id, wanted.task_id)
        if task.ended and task.delivered is None:
            self._tell(task)

    def _refused(self, wanted: Delegate, error: JoyvlError) -> None:
        wall = self._clock.wall()
        task = TaskRecord(
            id=new_id("tsk"), session_id=self._record.id, camera_id=self._record.camera_id, agent="", status="failed",
            origin="model", question=wanted.question, note=wanted.note, same_as="", follows=None, priority=0,
            timeout_s=0.0, t=wanted.t, created_wall=wall, ended_wall=wall, error=str(error), code=error.code,
        )  # fmt: skip
        self._bus.publish(TaskUpdated(task))
        aloud = NOBODY if error.code == "no_agent" else str(error)
        self._machine.take(TaskChanged(self._machine.now, wanted.task_id, "failed", aloud, wanted.question, wall))

    async def _deliver(self, names: tuple[str, ...], how: Delivery) -> None:
        for name in names:
            if task_id := self._ours(name):
                await self._queue.deliver(task_id, how)

    def _ours(self, name: str) -> str:
        """The id of the task that the machine calls so; empty for one that was never handed over."""
        found = next((task_id for task_id, called in self._own.items() if called == name), name)
        return found if found.startswith("tsk_") else ""

    async def _answered(self, text: str) -> bool:
        """Was it a yes or a no to what an agent asks for?"""
        if not self._asking or (yes := said_yes(text)) is None:
            return False
        task = next(iter(self._asking.values()))
        permission = task.permission or {}
        wanted = "allow_once" if yes else "reject_once"
        option = next((option["id"] for option in permission.get("options", ()) if option["kind"] == wanted), None)
        if yes and option is None:
            return False
        try:
            await self._queue.answer_permission(task.id, permission["id"], option)
        except JoyvlError as error:
            log.info("an answer to a permission came too late", task=task.id, error=str(error))
            return False
        return True

    def _queries_done(self, query_id: str) -> None:
        """What was an answer to an agent is no question to the model."""
        if self._queries.get(query_id).status == "open":
            self._machine.take(QueryWithdrawn(self._machine.now, query_id))


def _asked_aloud(agent: str, permission: dict[str, Any]) -> str:
    """What a spoken yes does is said in our words: options have names of the agent's own."""
    asked = f"{agent} asks: {permission['title']}."
    if any(option["kind"] == "allow_once" for option in permission["options"]):
        return f"{asked} Allow it once, yes or no?"
    return f"{asked} It cannot be allowed only once, so a yes is for the page; a no denies it."


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    while len(known) > KEPT:
        known.popitem(last=False)
