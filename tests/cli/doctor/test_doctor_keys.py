"""Whether somebody has a key, and which one ends soon."""

from __future__ import annotations

from fakes.clock import ManualClock
from joyvl_server.cli.doctor.parts.keys import KeysCheck
from joyvl_server.cli.doctor.report import Finding
from joyvl_server.settings import Settings
from joyvl_server.store.access.folder import key_database
from joyvl_server.store.access.keys import add_key
from joyvl_server.store.access.records import KeyRecord, Role, digest_of

NOW = 1_800_000_000.0
DAY_S = 86_400.0


async def found(folder, **server: object) -> Finding:
    settings = Settings(data_dir=folder, server={"host": "0.0.0.0", **server})
    (finding,) = await KeysCheck(settings, ManualClock(wall=NOW)).run()
    return finding


def add(folder, name: str, role: Role = "viewer", days: float | None = None, made_before: float = 60.0) -> None:
    until = None if days is None else NOW + days * DAY_S
    key = KeyRecord(f"key_{name}", name, digest_of(name), role, (), NOW - made_before * DAY_S, until)
    with key_database(folder, make=True) as connection:
        add_key(connection, key)


async def test_where_nobody_is_asked_or_nothing_was_made(tmp_path):
    assert (await found(tmp_path, host="127.0.0.1")).status == "skipped"
    assert (await found(tmp_path)).status == "skipped"
    assert list(tmp_path.iterdir()) == []


async def test_a_key_that_ends_soon_is_told(tmp_path):
    add(tmp_path, "me", "admin")
    add(tmp_path, "later", days=15)
    add(tmp_path, "over", days=-1)
    add(tmp_path, "guest", days=2, made_before=1)  # it was made for three days
    assert (await found(tmp_path)).status == "ok"
    assert "3 keys open" in (await found(tmp_path)).message
    add(tmp_path, "phone", days=13)
    told = await found(tmp_path)
    assert told.status == "warning"
    assert "phone on 2027-" in told.message
    assert "guest" not in told.message
    assert "joyvl keys add" in told.advice


async def test_a_server_without_an_admins_key(tmp_path):
    add(tmp_path, "phone", "ingest")
    add(tmp_path, "over", "admin", days=-1)
    told = await found(tmp_path)
    assert (told.status, "No admin has a key" in told.message) == ("warning", True)
    assert (await found(tmp_path, api_keys=["a-key"])).status == "ok"


async def test_a_damaged_database_is_left_to_the_check_of_the_folder(tmp_path):
    (tmp_path / "joyvl.db").write_bytes(b"no database")
    assert (await found(tmp_path)).status == "skipped"
