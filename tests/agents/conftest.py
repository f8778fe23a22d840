import pytest

from fakes.agents.scripted_agent import QueueUnderTest
from joyvl_server.store.sqlite.database import Database


@pytest.fixture
async def db(tmp_path):
    database = await Database.open(tmp_path / "joyvl.db")
    yield database
    await database.aclose()


@pytest.fixture
async def make(tmp_path, db, monkeypatch):
    """Makes queues that are started, and closed at the end."""
    made = []

    async def start(**settings) -> QueueUnderTest:
        under_test = QueueUnderTest(tmp_path / "agents", db, monkeypatch, **settings)
        made.append(under_test)
        await under_test.queue.start()
        return under_test

    yield start
    for under_test in made:
        for agent in under_test.agents.values():
            for run in agent.runs:
                run.may_close.set()
        await under_test.queue.aclose()
