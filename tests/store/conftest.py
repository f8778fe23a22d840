import pytest

from joyvl_server.store.sqlite.database import Database


@pytest.fixture
async def db(tmp_path):
    database = await Database.open(tmp_path / "joyvl.db")
    yield database
    await database.aclose()
