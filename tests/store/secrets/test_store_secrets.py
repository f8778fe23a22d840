"""Passwords at rest: sealed from the first start on, with nothing left of them in clear; wrong keys lose nothing."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_records import camera
from structlog.testing import capture_logs

from joyvl_server.core.errors import ConfigError, StoreError
from joyvl_server.core.sealed import is_sealed
from joyvl_server.notify.mqtt.options import MqttOptions
from joyvl_server.notify.mqtt.published import BrokerTopics, seal_files
from joyvl_server.store.alerts.hooks import Hooks
from joyvl_server.store.alerts.records import HookRecord
from joyvl_server.store.cameras import Cameras
from joyvl_server.store.idempotency import IdempotencyKeys
from joyvl_server.store.secrets import sealing
from joyvl_server.store.secrets.box import SecretBox, SecretUnreadable
from joyvl_server.store.secrets.columns import CAMERA_URL, HOOK_OPTIONS
from joyvl_server.store.secrets.key_file import KeyFile, key_id
from joyvl_server.store.secrets.rotation import give_up, report, rotate
from joyvl_server.store.store import Store

PASSWORD, TOKEN, OLD = "Tr0ub4dor-und-3", "whsec_c2VjcmV0LXBsYW50ZWQ", "retired-passw0rd"
URL = f"rtsp://cam:{PASSWORD}@10.0.0.2/x"
FILE = "file:///srv/media/demo.mp4"
OPTIONS = {"url": "https://hooks.example/x", "secret": TOKEN}
CAMERA = camera(id="cam_1", url=URL)
HOOK = HookRecord("hook_1", "phone", "webhook", OPTIONS)


def left_in(folder: Path) -> list[str]:
    """Files that hold one of the secrets in clear."""
    words = [word.encode() for word in (PASSWORD, TOKEN, OLD)]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path.name for path in files if any(word in path.read_bytes() for word in words)]


async def filled(folder: Path) -> Path:
    """A folder with a camera, a camera on a file and a hook."""
    store = await Store.open(folder)
    await Cameras(store.main).add(CAMERA)
    await Cameras(store.main).add(camera(id="cam_2", name="demo", url=FILE))
    await Hooks(store.main).add(HOOK)
    await store.aclose()
    return folder


async def as_of_old(folder: Path) -> Path:
    """The same as an older version wrote it: in clear, with an old password in a free page; and killed, with a log."""
    box = SecretBox.of_folder(await filled(folder))
    with closing(sqlite3.connect(folder / "joyvl.db", isolation_level=None)) as connection:
        url, options = (
            column.open(box, row_id, connection.execute(f"SELECT {column.name} FROM {column.table}").fetchone()[0])
            for column, row_id in ((CAMERA_URL, "cam_1"), (HOOK_OPTIONS, "hook_1"))
        )
        connection.execute("PRAGMA secure_delete = OFF").fetchall()
        connection.execute("PRAGMA application_id = 0")
        connection.execute("CREATE TABLE filler (x)")
        connection.execute("INSERT INTO filler VALUES (?)", (f"rtsp://cam:{OLD}@h/" + "x" * 9000,))
        connection.execute("DROP TABLE filler")
        connection.execute("UPDATE cameras SET url = ? WHERE id = 'cam_1'", (url,))
        connection.execute("UPDATE hooks SET options = ?", (options,))
        connection.execute("INSERT INTO idempotency VALUES ('k', 'r', 201, '{}', ?, 'h', 1e12)", (TOKEN.encode(),))
    (folder / "secret.key").unlink()
    assert left_in(folder)
    return folder


async def kept_of(folder: Path, **options: Path) -> tuple[list[str], dict[str, str]]:
    store = await Store.open(folder, **options)
    try:
        assert left_in(folder) == [], "while it runs"
        return [c.url for c in await Cameras(store.main).list()], dict((await Hooks(store.main).list())[0].options)
    finally:
        await store.aclose()


WHOLE = ([URL, FILE], OPTIONS)


async def test_nothing_secret_is_in_clear_and_the_key_is_for_its_owner_alone(tmp_path):
    assert await kept_of(await filled(tmp_path)) == WHOLE
    assert left_in(tmp_path) == []
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert FILE.encode() in (tmp_path / "joyvl.db").read_bytes(), "files have no password, and need no key"


async def test_a_database_of_an_older_version_is_sealed_with_its_free_pages_and_copies(tmp_path):
    await as_of_old(tmp_path)
    for number in ("0012", "0013"):
        (tmp_path / f"joyvl.db.before-{number}").write_bytes((tmp_path / "joyvl.db").read_bytes())
    assert await kept_of(tmp_path) == WHOLE
    assert left_in(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "joyvl.db.before-0013")) as copy:
        url = copy.execute("SELECT url FROM cameras WHERE id = 'cam_1'").fetchone()[0]
    assert CAMERA_URL.open(SecretBox.of_folder(tmp_path), "cam_1", url) == URL
    assert (tmp_path / "joyvl.db").stat().st_mode & 0o777 == 0o600
    inode = (tmp_path / "joyvl.db").stat().st_ino
    assert await kept_of(tmp_path) == WHOLE
    assert (tmp_path / "joyvl.db").stat().st_ino == inode, "it is rewritten once"


@pytest.mark.parametrize("step", ["seal_all", "_rewritten", "_put_in_place", "replace"])
async def test_killed_at_any_step_the_next_start_goes_on(tmp_path, monkeypatch, step):
    await as_of_old(tmp_path)

    class Killed(BaseException):
        pass

    def killed(*given: object, **named: object) -> None:
        raise Killed

    owner, name = {
        "seal_all": (sealing, "seal_all"),
        "replace": (Path, "replace"),
    }.get(step, (sealing.Sealing, step))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        box = SecretBox.of_folder(tmp_path)
        if step == "replace":
            box.prepare(())
        with pytest.raises(Killed):
            sealing.Sealing(tmp_path / "joyvl.db", box).run()
    assert await kept_of(tmp_path) == WHOLE
    assert left_in(tmp_path) == []
    assert not list(tmp_path.glob("*.sealing"))


async def test_a_disk_without_space_is_told_and_the_rows_are_sealed_all_the_same(tmp_path, monkeypatch):
    await as_of_old(tmp_path)
    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(sealing.shutil, "disk_usage", lambda path: sealing.shutil._ntuple_diskusage(1, 1, 0))
        store = await Store.open(tmp_path)
        assert (await Cameras(store.main).get("cam_1")).url == URL
        await store.aclose()
    assert any("no space" in line["event"] for line in lines)
    content = (tmp_path / "joyvl.db").read_bytes()
    assert PASSWORD.encode() not in content
    assert await kept_of(tmp_path) == WHOLE  # there is space again


async def test_a_damaged_database_says_what_it_said_before(tmp_path):
    (tmp_path / "joyvl.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        await Store.open(tmp_path)
    assert not (tmp_path / "secret.key").exists()


KEY_IN_CLEAR = base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is missing"),
        (KEY_IN_CLEAR, "is another one"),
        ("half a k", "line 1 is no key"),
        ("# nothing\n", "holds no key"),
    ],
)
async def test_a_wrong_key_file_is_told_in_words_and_loses_nothing(tmp_path, content, words):
    await filled(tmp_path)
    key = (tmp_path / "secret.key").read_bytes()
    (tmp_path / "secret.key").unlink()
    if content is not None:
        (tmp_path / "secret.key").write_text(content)
    with capture_logs() as lines:
        store = await Store.open(tmp_path)
    cameras, hooks, idempotency = Cameras(store.main), Hooks(store.main), IdempotencyKeys(store.main)
    assert words in str(store.main.secrets.fault)
    assert [line["error"] for line in lines if "cannot be used" in line["event"]] == [store.main.secrets.fault]
    assert KEY_IN_CLEAR not in str(lines)
    broken, file = await cameras.list()
    assert is_sealed(broken.url)
    assert file.url == FILE
    await cameras.update(replace(broken, name="renamed"))  # what cannot be read is kept as it is
    [hook] = await hooks.list()
    assert (hook.options, is_sealed(hook.sealed)) == ({}, True)
    await hooks.update(replace(hook, name="renamed"))
    with pytest.raises(StoreError) as caught:
        await cameras.add(camera(id="cam_3", name="new", url=URL))
    assert caught.value.code == "secrets_locked"
    await cameras.add(camera(id="cam_4", name="file", url=FILE))  # the rest runs
    await idempotency.put("k", "r", 201, {}, b"body", "h")
    assert (await idempotency.get("k", "r")).body == b"body"
    await store.aclose()
    (tmp_path / "secret.key").write_bytes(key)
    assert await kept_of(tmp_path) == ([URL, FILE, FILE], OPTIONS)


async def test_a_lost_key_can_be_given_up(tmp_path):
    await filled(tmp_path)
    (tmp_path / "secret.key").unlink()
    found = give_up(tmp_path, None)
    assert (found.fault, found.unreadable) == (None, ("cameras/cam_1", "hooks/hook_1"))
    store = await Store.open(tmp_path)
    cameras = Cameras(store.main)
    assert store.main.secrets.fault is None
    await cameras.update(replace(await cameras.get("cam_1"), url=URL))
    await Hooks(store.main).update(HOOK)
    await store.aclose()
    assert await kept_of(tmp_path) == WHOLE
    assert report(tmp_path, None).unreadable == ()


async def test_the_key_may_be_elsewhere_and_of_ones_own(tmp_path):
    key = tmp_path / "run" / "secrets" / "joyvl"
    key.parent.mkdir(parents=True)
    key.write_text(KEY_IN_CLEAR + "\n")
    store = await Store.open(tmp_path / "data", key)
    await Cameras(store.main).add(CAMERA)
    await store.aclose()
    assert not (tmp_path / "data" / "secret.key").exists()
    assert report(tmp_path / "data", key).key == key_id(b"k" * 32)
    assert report(tmp_path / "data", None).fault


async def test_a_key_that_cannot_be_made_is_told(tmp_path):
    store = await Store.open(tmp_path, tmp_path / "nowhere" / "secret.key")
    assert "cannot be written: No such file" in str(store.main.secrets.fault)
    with pytest.raises(StoreError, match="openssl rand"):
        await Cameras(store.main).add(CAMERA)
    await store.aclose()
    assert left_in(tmp_path) == []


# ------------------------------------------------------------------------------------------------------------ rotation


async def test_rotation_seals_all_with_a_new_key(tmp_path):
    await filled(tmp_path)
    topics = tmp_path / "hooks" / "mqtt"
    broker = MqttOptions(host="localhost", username="joyvl", password=PASSWORD)
    old = SecretBox.of_folder(tmp_path)
    BrokerTopics("hook_2", broker, frozenset({"joyvl/status"})).write(topics / "hook_2.json", old)
    found = rotate(tmp_path, None, lambda box: seal_files(topics, box))
    assert found.key != old.newest
    assert (found.stored, found.unreadable) == (2, ())
    assert await kept_of(tmp_path) == WHOLE
    assert len(KeyFile(tmp_path / "secret.key").read().keys) == 1
    assert BrokerTopics.read(topics / "hook_2.json", SecretBox.of_folder(tmp_path)).options == broker


async def test_a_rotation_that_is_killed_leaves_both_keys(tmp_path):
    await filled(tmp_path)

    def killed(box: SecretBox) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(tmp_path, None, killed)
    assert len(KeyFile(tmp_path / "secret.key").read().keys) == 2
    assert await kept_of(tmp_path) == WHOLE
    rotate(tmp_path, None, lambda box: 0)
    assert len(KeyFile(tmp_path / "secret.key").read().keys) == 1
    assert await kept_of(tmp_path) == WHOLE


async def test_no_rotation_while_the_server_runs(tmp_path):
    store = await Store.open(await filled(tmp_path))
    with pytest.raises(StoreError) as caught:
        rotate(tmp_path, None, lambda box: 0)
    await store.aclose()
    assert caught.value.code == "store_locked"


# ------------------------------------------------------------------------------------------------------------- the box


@given(st.text(), st.text())
def test_what_is_sealed_can_be_opened_at_its_place_alone(text, place):
    box = SecretBox.passing()
    sealed = box.seal(text, place)
    if is_sealed(text):
        return
    assert is_sealed(sealed)
    assert box.open(sealed, place) == text
    assert box.seal(text, place) != sealed, "nobody sees that two are the same"
    for wrong in (f"{place}x", ""):
        if wrong != place:
            with pytest.raises(SecretUnreadable):
                box.open(sealed, wrong)


def test_what_was_changed_is_not_opened():
    box = SecretBox.passing()
    sealed = box.seal("secret", "p")
    wrong = ("enc:v1:", "enc:v1:00000000:AA", sealed[:20] + "ä")
    for changed in (sealed[:-2], sealed[:-4] + "AAAA", sealed + "A", *wrong):
        with pytest.raises(SecretUnreadable):
            box.open(changed, "p")
    assert box.open("rtsp://cam:old@h/", "p") == "rtsp://cam:old@h/"


def test_a_key_file_of_hexadecimal_digits_and_one_that_others_can_read(tmp_path):
    file = KeyFile(tmp_path / "key")
    file.path.write_text("6b" * 32)
    file.path.chmod(0o644)
    assert file.read().keys == (b"k" * 32,)
    assert file.path.stat().st_mode & 0o077 == 0
    file.path.write_text("6b" * 31)
    with pytest.raises(ConfigError, match="no key of 32 bytes") as caught:
        file.read()
    assert "6b6b" not in str(caught.value)


def test_logins_at_brokers_are_sealed(tmp_path):
    box = SecretBox.passing()
    left = tmp_path / "left" / "left_1.json"
    left.parent.mkdir()
    left.write_text(
        f'{{"hook": "hook_1", "broker": {{"host": "h", "username": "u", "password": "{PASSWORD}"}}, "topics": ["a/b"]}}'
    )
    before = left.stat().st_mtime_ns
    assert seal_files(tmp_path, box) == 1
    assert left_in(tmp_path) == []
    assert left.stat().st_mtime_ns == before, "its age counts"
    assert BrokerTopics.read(left, box).options.password.get_secret_value() == PASSWORD
    assert seal_files(tmp_path, box) == 0
    with capture_logs() as lines:
        assert BrokerTopics.read(left, SecretBox.passing()) is None
    assert PASSWORD not in str(lines)
