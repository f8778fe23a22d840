"""The whole way, with real agents: the model that watches hands a question over, the agent asks for a permission, and
what came of it is said aloud; or it was denied, not answered, cancelled, killed. Nothing is left, and no tick is lost.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fakes.agents.model_server import ANSWER, ScriptedModel
from fakes.agents.traces import living_in, marked, places
from fakes.agents.watched_door import ENDED, WatchedDoor, messages_of, tail_of, watched_door

PRESETS = ("opencode", "codex", "claude")
WHOLE = [(preset, "allowed denied unanswered cancelled killed") for preset in PRESETS]
SHORT = [
    ("opencode", "allowed denied"),
    ("claude", "allowed cancelled"),
    ("codex", "allowed unanswered"),
    ("codex", "killed"),
]
WRITE = "echo done > proof.txt"
LONG = "touch begun.txt; (setsid sleep 1000 &); sleep 1000"
START_S = 240
PERMISSION_S = 5.0


class AtWork:
    """A door with a real agent. `ends` is to be called after each end: nothing of it may be left."""

    def __init__(self, door: WatchedDoor, model: ScriptedModel, mark: str) -> None:
        self.door = door
        self.model = model
        self.mark = mark
        self.before = places()

    async def asked(self, question: str, command: str, answer: str = ANSWER) -> dict[str, Any]:
        """The task, once its agent asks for a permission to run the command. `answer`: what its model says then."""
        self.model.command, self.model.answer = command, answer
        self.door.scene.asks(question)
        task = await self.door.reaches(question, "waiting", *ENDED)
        assert task["status"] == "waiting", task
        assert command in task["permission"]["detail"]
        assert (task["origin"], task["note"]) == ("model", "I look into it.")
        return task

    async def told(self, question: str, found: str) -> None:
        """What came of it stood in the very next request, at its tail, and all before that was as it had been."""
        scene = self.door.scene
        news = f"[{found} the question handed over] {question}: "
        await self.door.until(lambda: scene.request_with(news) >= 0, news)
        number = scene.request_with(news)
        ended = next(task for task in self.door.changes if task.question == question and task.ended)
        told, one_was_on_its_way = scene.told[ended.id]
        assert number in (told, told + one_was_on_its_way)
        before, request = scene.server.completions[number - 1 : number + 1]
        assert messages_of(request).startswith(messages_of(before) + b",")
        assert tail_of(request).startswith(news)
        assert len(request.messages) == len(before.messages) + 2, "the answer to that one, and this turn"

    async def spoken(self, question: str) -> dict[str, Any]:
        task = next(task for task in self.door.changes if task.question == question)
        done = await self.door.delivered(task.id)
        assert done["delivered"] == "spoken"
        count = sum(task["status"] != "cancelled" for task in await self.door.tasks())
        # The tick is written once its turn has settled, which may be a moment after the last word was heard.
        await self.door.until(lambda: self.answers() >= count, "the tick that told it")
        assert self.answers() == count, "each of them once"
        return done

    def answers(self) -> int:
        return sum(said.startswith("They found out: ") for said in self.door.said())

    async def processes(self) -> dict[int, str]:
        """Looked for in a thread: what the kernel tells of a process may have to wait for that process."""
        return await asyncio.to_thread(marked, self.mark)

    async def ends(self) -> None:
        assert await self.processes() == {}
        assert await asyncio.to_thread(living_in, self.door.folder) == []
        assert self.door.work == []
        assert {path.name for path in (self.door.folder / "agents").iterdir()} <= {"home", "work", "files", "waiting"}
        assert list((self.door.folder / "agents").glob("waiting/*")) == []
        assert await asyncio.to_thread(places) - self.before == set()
        assert self.door.lost_seconds() == []


def entry(agents_env: Path, preset: str, model: ScriptedModel, mark: str, **options: Any) -> dict[str, Any]:
    given = {
        "preset": preset, "path": [str(agents_env)], "env": {"TEST_MARK": mark}, "start_s": START_S,
        "model": {"base_url": model.url, "name": "scripted", "api_key": "not-a-secret"}, **options,
    }  # fmt: skip
    return {"type": "acp", "options": given}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("preset", "ends"), WHOLE if os.environ.get("JOYVL_LONG") == "1" else SHORT)
async def test_each_end_of_a_task_reaches_the_scene(tmp_path, agents_env, preset, ends):
    """With JOYVL_LONG=1 each agent comes to each end."""
    mark = f"JOYVL_TEST_{uuid.uuid4().hex}"
    with ScriptedModel() as model:
        agent = entry(agents_env, preset, model, mark)
        async with watched_door(tmp_path, agent, permission_timeout_s=PERMISSION_S) as door:
            work = AtWork(door, model, mark)
            for end in ends.split():
                await ENDS[end](work)
            assert len(await door.tasks()) == len(ends.split())
    assert marked(mark) == {}


async def allowed(work: AtWork) -> None:
    task = await work.asked("Which van is it?", WRITE)
    await work.door.answer(task, "allow_once")
    done = await work.door.reaches("Which van is it?", *ENDED)
    assert done["status"] == "completed", done
    assert ANSWER in done["answer"]
    assert ANSWER in done["digest"]
    await work.told("Which van is it?", "Result of")
    await work.spoken("Which van is it?")
    [file] = done["files"]
    kept = await work.door.client.get(f"/v1/tasks/{done['id']}/files/{file['name']}")
    assert (file["name"], kept.text) == ("proof.txt", "done\n")
    await work.ends()


async def denied(work: AtWork) -> None:
    task = await work.asked("Whose van is it?", WRITE, "Nobody may look that up.")
    await work.door.answer(task, "reject_once")
    await without_it(work, "Whose van is it?")


async def unanswered(work: AtWork) -> None:
    await work.asked("Where does it go?", WRITE, "Towards the harbour, by the look of its load.")
    await without_it(work, "Where does it go?")


async def without_it(work: AtWork, question: str) -> None:
    """It was not allowed to run the command, and either answers all the same or says why not."""
    done = await work.door.reaches(question, *ENDED)
    assert done["files"] == []
    assert (done["status"], done["code"]) in (("completed", None), ("failed", "refused")), done
    await work.told(question, "Result of" if done["status"] == "completed" else "No result of")
    await work.spoken(question)
    await work.ends()


async def begun(work: AtWork, question: str) -> dict[str, Any]:
    """The task, once its command runs, which has left a child in a session of its own."""
    task = await work.asked(question, LONG)
    await work.door.answer(task, "allow_once")
    await work.door.until(lambda: any((folder / "begun.txt").exists() for folder in work.door.work), "the command")
    while sum("sleep 1000" in command for command in (await work.processes()).values()) < 2:
        await asyncio.sleep(0.2)
    return task


async def cancelled(work: AtWork) -> None:
    task = await begun(work, "Who drives it?")
    done = await work.door.rest("POST", f"/v1/tasks/{task['id']}/cancel")
    assert await work.processes() == {}, "when the answer is there, all that it had started is gone"
    assert (done["status"], done["digest"] or None) == ("cancelled", None)
    seen = len(work.door.scene.server.completions)
    await work.door.until(lambda: len(work.door.scene.server.completions) >= seen + 2, "the next seconds")
    assert work.door.scene.request_with("Who drives it?:") == -1, "nobody is told of what nobody wants any more"
    await work.ends()


async def killed(work: AtWork) -> None:
    await begun(work, "How fast is it?")
    for pid, command in (await work.processes()).items():
        if "sleep" not in command and "confine" not in command:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
    done = await work.door.reaches("How fast is it?", *ENDED)
    assert (done["status"], done["code"]) == ("failed", "died"), done
    await work.told("How fast is it?", "No result of")
    await work.spoken("How fast is it?")
    await work.ends()


ENDS = {"allowed": allowed, "denied": denied, "unanswered": unanswered, "cancelled": cancelled, "killed": killed}
