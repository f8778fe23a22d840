import asyncio
from contextlib import suppress

import pytest
from timeline_world import NOW, FilesUnderTest

from fakes.clock import ManualClock
from joyvl_server.settings import TimelineSettings
from joyvl_server.store.events import Events
from joyvl_server.store.sqlite.database import Database
from joyvl_server.timeline.files import TimelineFiles


@pytest.fixture
async def db(tmp_path):
    database = await Database.open(tmp_path / "joyvl.db")
    yield database
    await database.aclose()


@pytest.fixture
def clock():
    return ManualClock(wall=NOW)


@pytest.fixture
def events(db):
    return Events(db)


@pytest.fixture
async def made(tmp_path, db, events, clock):
    """Makes the files with the settings given."""

    def make(**settings):
        files = TimelineFiles(tmp_path / "timeline", TimelineSettings(**settings), events, clock)
        events.on_removed(files.remove)
        return FilesUnderTest(files, events, db, clock)

    return make


@pytest.fixture
async def running():
    """Runs what is given until the test is over."""
    tasks = []
    yield lambda work: tasks.append(asyncio.create_task(work))
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
