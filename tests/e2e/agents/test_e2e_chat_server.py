"""Agent `openai` with llama.cpp's own server and a small model: nothing of the server is played."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from fakes.agents.scripted_agent import until
from joyvl_server.agents.base import BundleFrame, TaskBundle
from joyvl_server.agents.draft import TaskDraft
from joyvl_server.agents.queue import TaskQueue
from joyvl_server.kit.clock import SystemClock
from joyvl_server.settings import Settings
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.tasks import TaskRecord

ROOT = Path(__file__).resolve().parents[3]
SERVER = ROOT / "tests" / "fakes" / "agents" / "chat_server.py"


@pytest.fixture(scope="module")
def chat_server(chat_env):
    """Its address, up to `/v1`."""
    python, model = chat_env
    with subprocess.Popen(
        [python, SERVER, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process.stdout.readline().strip() + "/v1"
        process.kill()


class Watching:
    def __init__(self) -> None:
        self.changes: list[TaskRecord] = []

    def task_changed(self, task: TaskRecord) -> None:
        self.changes.append(task)

    def reached(self, task_id: str, *statuses: str) -> bool:
        return any(task.id == task_id and task.status in statuses for task in self.changes)


@pytest.fixture
async def house(tmp_path, chat_server):
    """A queue whose agent is the server, and what it told."""
    entry = {"type": "openai", "options": {"base_url": chat_server, "extra_body": {"max_tokens": 16, "seed": 1}}}
    settings = Settings(data_dir=tmp_path, agents={"entries": {"local": entry}})
    db = await Database.open(tmp_path / "joyvl.db")
    queue, watching = TaskQueue.open(settings, db, SystemClock()), Watching()
    queue.listen(watching)
    await queue.start()
    yield queue, watching
    await queue.aclose()
    await db.aclose()


async def answered(house, draft, bundle=None) -> TaskRecord:
    queue, watching = house
    task = await queue.submit(draft, bundle)
    await until(lambda: watching.reached(task.id, "completed", "failed"), 120)
    return next(change for change in watching.changes if change.id == task.id and change.ended)


async def test_check_makes_the_round_to_the_server(house):
    report = await house[0].agents.check("local")
    assert report.ready, report.message
    assert "the model is" in report.message


async def test_a_question_is_answered_with_progress_and_a_follow_up_too(house):
    first = await answered(house, TaskDraft("Name three colours.", origin="user"))
    assert first.status == "completed", first.error
    assert first.answer.strip()
    assert first.digest
    assert any(change.progress for change in house[1].changes)
    then = await answered(house, TaskDraft("Which of them is the sky?", follows=first.id, origin="user"))
    assert then.status == "completed", then.error
    assert then.agent == "local"


async def test_a_server_for_texts_alone_is_asked_without_the_pictures(house):
    picture = simplejpeg.encode_jpeg(np.zeros((32, 32, 3), np.uint8))
    bundle = TaskBundle("", "?", frames=(BundleFrame(picture, 1.0, 1_800_000_000.0),))
    done = await answered(house, TaskDraft("What is a cat?"), bundle)
    assert done.status == "completed", done.error


async def test_cancelled_while_it_writes_the_server_serves_the_next(house):
    queue, watching = house
    task = await queue.submit(TaskDraft("Write a very long story."))
    await until(lambda: watching.reached(task.id, "running"))
    await asyncio.sleep(0.2)
    assert (await queue.cancel(task.id)).status in ("cancelled", "completed")
    assert (await answered(house, TaskDraft("What is a dog?"))).status == "completed"
