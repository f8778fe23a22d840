"""A whole server that watches a drawn clip and hands questions over to one agent. Only its two models are scripted.

    async with watched_door(folder, {"type": "acp", "options": …}) as door:
        door.scene.asks("Which van is it?", note="I look into it.")
        task = await door.reaches("Which van is it?", "completed")

The engine is spoken to over HTTP, REST over sockets, pictures come from a media worker. A client is there that speaks
with a voice of its own, and says of each utterance that it was heard to its end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import connect

from fakes.agents.lost_seconds import CoreWaits, lost_seconds, media_workers
from fakes.engines.openai_server import FakeOpenAI, Reply, Request, says, silence
from fakes.media.video import draw_clip
from fakes.patience import PATIENCE_S, until
from joyvl_server.api.http.server import ApiServer, bind, url_of
from joyvl_server.app import create_app
from joyvl_server.compose import build_registry, media_dir
from joyvl_server.sessions.session import Session
from joyvl_server.settings import Settings
from joyvl_server.store.tasks import TaskRecord

ALL = 10_000
ENDED = ("completed", "failed", "cancelled")
AGENT = "helper"


class SceneModel:
    """The model that watches: silent, but for what it is to hand over, and for an answer to what came of that.

    `replies`: what it writes at its next turns, one each. `told`: how many requests had come when a task ended, and
    whether one more was on its way, by the task's id.
    """

    def __init__(self, server: FakeOpenAI) -> None:
        self.server = server
        self.replies: list[Reply] = []
        self.told: dict[str, tuple[int, bool]] = {}
        server.otherwise = self._answer

    def asks(self, question: str, note: str = "I look into it.") -> None:
        self.replies.append(says(f"</response> {note}", f" </delegation> {question}"))

    def _answer(self, request: Request) -> Reply:
        if self.replies:
            return self.replies.pop(0)
        news = [line for line in tail_of(request).splitlines() if "esult of the question handed over]" in line]
        return says(f"</response> They found out: {news[0].partition('] ')[2]}") if news else silence()

    def request_with(self, text: str) -> int:
        """The number of the first request that has it in its last message; -1: none has."""
        numbers = (number for number, request in enumerate(self.server.completions) if text in tail_of(request))
        return next(numbers, -1)


def tail_of(request: Request) -> str:
    """The text of its last message."""
    content = request.messages[-1]["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def messages_of(request: Request) -> bytes:
    """All its messages as they came, without the bracket that ends them."""
    text = request.raw.decode()
    begins = text.index('"messages":') + len('"messages":')
    return text[:begins].encode() + text[begins : json.JSONDecoder().raw_decode(text, begins)[1] - 1].encode()


class WatchedDoor:
    def __init__(
        self, folder: Path, client: httpx2.AsyncClient, session: Session, scene: SceneModel, waits: CoreWaits
    ) -> None:
        self.folder = folder
        self.client = client
        self.session = session
        self.scene = scene
        self.changes: list[TaskRecord] = []
        self._before: str = ""
        self._waits = waits

    def begin(self) -> None:
        """From now on each second is to have its decision."""
        self._before = self.session.ticks(1)[0]["id"]

    @property
    def work(self) -> list[Path]:
        """The folders of tasks that run."""
        folder = self.folder / "agents" / "work"
        return list(folder.iterdir()) if folder.is_dir() else []

    def task_changed(self, task: TaskRecord) -> None:
        """See `TaskListener`."""
        if task.ended and task.id not in self.scene.told:
            self.scene.told[task.id] = len(self.scene.server.completions), self.session.machine.busy
        self.changes.append(task)

    async def rest(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.client.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return None if answer.status_code == 204 else answer.json()

    async def tasks(self) -> list[dict[str, Any]]:
        """As REST lists them, newest first."""
        found: list[dict[str, Any]] = (await self.rest("GET", f"/v1/tasks?session_id={self.session.id}"))["data"]
        return found

    async def reaches(self, question: str, *statuses: str) -> dict[str, Any]:
        """The task of this question over REST, once it has such a status."""
        await self.until(lambda: any(t.question == question and t.status in statuses for t in self.changes), question)
        task: dict[str, Any] = await self.rest("GET", f"/v1/tasks/{self.task_of(question).id}")
        return task

    def task_of(self, question: str) -> TaskRecord:
        """As it was told last."""
        return next(task for task in reversed(self.changes) if task.question == question)

    async def answer(self, task: dict[str, Any], kind: str) -> dict[str, Any]:
        """What it asks for gets the option of this kind; returns what it asked for."""
        asked: dict[str, Any] = task["permission"]
        option = next(option["id"] for option in asked["options"] if option["kind"] == kind)
        await self.rest("POST", f"/v1/tasks/{task['id']}/permissions/{asked['id']}", {"option_id": option})
        return asked

    async def delivered(self, task_id: str) -> dict[str, Any]:
        """The task, once somebody was told of it."""
        await self.until(lambda: any(t.id == task_id and t.delivered for t in self.changes), "the delivery")
        task: dict[str, Any] = await self.rest("GET", f"/v1/tasks/{task_id}")
        return task

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await until(condition)
        except TimeoutError:
            states = [(task.question, task.status, task.progress, task.error) for task in self.changes]
            raise AssertionError(f"{what}: it never came; {states}") from None

    def lost_seconds(self) -> list[str]:
        """Seconds since `begin` that had no decision, where there are more than the machine is to blame for."""
        ticks = [tick for tick in self.session.ticks(ALL) if int(tick["id"]) >= int(self._before)]
        return lost_seconds(ticks, self._waits.waited)

    def said(self) -> list[str]:
        return [tick["text"] for tick in self.session.ticks(ALL) if tick["text"]]


@asynccontextmanager
async def watched_door(
    folder: Path, agent: dict[str, Any], *, name: str = "door", sessions: dict[str, Any] | None = None, **agents: Any
) -> AsyncIterator[WatchedDoor]:
    """`agent`: its entry in the settings. `sessions`, `agents`: other settings of these. `name`: of the camera."""
    async with FakeOpenAI() as server:
        options = {"openai": {"base_url": server.base_url, "protocol": "markers"}}
        settings = Settings(
            data_dir=folder, demo=False, engine={"name": "openai", "options": options}, server={"port": 0},
            sessions={"cooldown_s": 0.0, "fidelity": "faithful", "context_tokens": 100_000, **(sessions or {})},
            agents={"entries": {AGENT: agent}, **agents},
        )  # fmt: skip
        registry = await build_registry(settings)
        app = create_app(settings, registry)
        clip = draw_clip(media_dir(settings) / "door.mp4", fps=10, seconds=20.0)
        sockets = bind(settings.server)
        running = ApiServer(app, app.state.api, lambda: None)
        async with app.router.lifespan_context(app):
            serving = asyncio.create_task(running.serve(sockets))
            try:
                async with httpx2.AsyncClient(base_url=url_of(sockets), timeout=PATIENCE_S) as client:
                    body = {"name": name, "url": clip.resolve().as_uri(), "loop": True}
                    camera = (await client.post("/v1/cameras", json=body)).json()
                    session = registry.session(camera["session_id"])
                    waits = CoreWaits(media_workers)
                    door = WatchedDoor(folder, client, session, SceneModel(server), waits)
                    registry.tasks.listen(door)
                    beside = {asyncio.create_task(_speak(client, session.id)), asyncio.create_task(waits.watch())}
                    try:
                        await door.until(lambda: decides(session) and session.speech.audible, "the first decision")
                        door.begin()
                        yield door
                    finally:
                        for task in beside:
                            task.cancel()
                        await asyncio.wait(beside)
            finally:
                running.should_exit = True
                await serving
                for opened in sockets:
                    opened.close()


def decides(session: Session) -> bool:
    """Is it past its first second, in which models and pictures are got ready?"""
    return [tick["skipped"] for tick in session.ticks(2)] == [None, None]


async def _speak(client: httpx2.AsyncClient, session_id: str) -> None:
    """A client with a voice of its own, and people who listen to the end."""
    texts: dict[int, str] = {}
    started: set[int] = set()
    url = str(client.base_url).replace("http:", "ws:").rstrip("/")
    async with connect(f"{url}/v1/sessions/{session_id}/updates?speaks=true", max_size=None) as socket:
        async for line in socket:
            update = json.loads(line)
            if update["type"] == "response.output_text.done":
                texts[update["epoch"]] = update["text"]
            elif update["type"] == "output_audio_buffer.started":
                started.add(update["epoch"])
            for epoch in started & texts.keys():
                started.discard(epoch)
                body = {"epoch": epoch, "heard": len(texts[epoch]), "ended": True}
                await client.post(f"/v1/sessions/{session_id}/playback", json=body)
