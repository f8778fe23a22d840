"""What the doctor says of settings, the data folder, the engine, voices, ears, the memory and agents."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sqlite3

import pytest

from fakes.engines.openai_server import FakeOpenAI, says
from fakes.server.server import ServerProcess
from joyvl_server.api.listening.started import told_at_start
from joyvl_server.cli.doctor.checks import Patient
from joyvl_server.cli.doctor.model.golden import GoldenQuestionCheck
from joyvl_server.cli.doctor.parts.running import RunningServerCheck
from joyvl_server.cli.doctor.report import FindingStatus
from joyvl_server.cli.doctor.server import RunningServer, ServerAnswer
from joyvl_server.settings import Settings
from joyvl_server.store.folder import DataFolder, tell_start
from joyvl_server.store.sqlite.database import Database

pytestmark = pytest.mark.processes


def only(findings):
    assert len(findings) == 1, findings
    return findings[0]


def test_settings_that_cannot_be_read(doctor):
    wrong, defaults = doctor("settings", settings={"server": {"prot": 1}})
    assert "Did you mean server.port" in wrong["message"] or "port" in wrong["message"]
    assert "default settings" in defaults["message"]


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        ({"engine": {"name": "vlm"}}, "problem", "there is no engine 'vlm'"),
        ({"server": {"host": "0.0.0.0", "auth": "off"}}, "problem", "beyond loopback"),
        ({"sessions": {"context_tokens": 5000}}, "problem", "fewer than 20 seconds"),
        ({"memory": {"embedder": "e6"}}, "problem", "there is no embedder"),
        ({"engine": {"name": "openai", "options": {"openai": {"base_url": "http://127.0.0.1:1/v1",
            "context_tokens": 8000}}}}, "warning", "is more than the engine takes"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work(doctor, settings, status, said):
    found = [one for one in doctor("settings", settings=settings) if said in one["message"]]
    assert [one["status"] for one in found] == [status]


def test_no_data_folder_yet_is_no_problem(doctor):
    assert only(doctor("data-folder"))["status"] == "skipped"


async def make_record(folder):
    database = await Database.open(folder / "joyvl.db")
    await database.aclose()


def test_a_whole_record(doctor, tmp_path):
    asyncio.run(make_record(tmp_path / "data"))
    found = only(doctor("data-folder"))
    assert "joyvl.db is whole" in found["message"]


def test_a_damaged_record(doctor, tmp_path):
    asyncio.run(make_record(tmp_path / "data"))
    path = tmp_path / "data" / "joyvl.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    found = only([one for one in doctor("data-folder") if one["status"] == "problem"])
    assert "is damaged" in found["message"]
    assert "joyvl restore" in found["advice"]


def test_a_record_of_a_newer_version(doctor, tmp_path):
    asyncio.run(make_record(tmp_path / "data"))
    connection = sqlite3.connect(tmp_path / "data" / "joyvl.db")
    connection.execute("PRAGMA user_version = 900")
    connection.commit()
    connection.close()
    assert "written by a newer joyvl-server" in only(doctor("data-folder"))["message"]


def test_a_folder_that_others_may_read(doctor, tmp_path):
    asyncio.run(make_record(tmp_path / "data"))
    (tmp_path / "data").chmod(0o755)
    [found] = [one for one in doctor("data-folder") if one["status"] == "warning"]
    assert "chmod 700" in found["advice"]


def test_another_server_runs_on_it(doctor, tmp_path):
    (tmp_path / "data").mkdir(mode=0o700)
    descriptor = os.open(tmp_path / "data" / "joyvl.lock", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"4242\n")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        said = [one["message"] for one in doctor("data-folder", "server", settings={"server": {"port": 1}})]
        assert any("A joyvl-server (process 4242) is using this data folder" in message for message in said)
        assert any("does not answer" in message for message in said)
    finally:
        os.close(descriptor)


def test_a_server_is_looked_at_as_it_was_started(doctor, tmp_path):
    """Its flags are in no file: without this the doctor would look at port 8099 of loopback, without https."""
    data = tmp_path / "data"
    held = DataFolder.open(data)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        try:
            tell_start(data, told_at_start(Settings(data_dir=data, server={"tls": "self-signed"}), port))
            said = {one["check"]: one["message"] for one in doctor("port", "https")}
            assert f"Port {port} is in use by the joyvl-server of this data folder" in said["port"]
            assert "makes a self-signed certificate" in said["https"]
            (data / "joyvl.lock").write_text(f"{os.getpid()}\n{{'of another version'")
            assert "listens on this machine only" in only(doctor("https"))["message"]
        finally:
            held.close()


@pytest.mark.parametrize(
    ("status", "key", "said"),
    [
        (401, None, "asks for a key"),
        (401, "wrong", "does not know this key"),
        (403, "camera's", "tells this key nothing"),
    ],
)
async def test_a_server_that_asks_for_a_key(monkeypatch, status, key, said):
    async def answer(_running, path):
        return ServerAnswer(200 if path == "/healthz" else status, "")

    monkeypatch.setattr(RunningServer, "get", answer)
    found = only(list(await RunningServerCheck(RunningServer(4242, "http://127.0.0.1:1", key)).run()))
    assert found.status == FindingStatus.WARNING
    assert said in found.message


async def golden(settings, **options):
    patient = Patient(settings, Patient.find(None, None, None).running)
    check = GoldenQuestionCheck(settings, patient.running, **options)
    return only(list(await check.run()))


async def test_the_demo_clip_is_seen_without_a_model(tmp_path):
    found = await golden(Settings(data_dir=tmp_path))
    assert found.status is FindingStatus.OK
    assert "came in" in found.message


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("A person is standing in a room.", FindingStatus.OK, "“A person is standing in a room.”"),
        ("I cannot see any picture, sorry.", FindingStatus.WARNING, "Does it see pictures?"),
    ],
)
async def test_a_model_is_asked_what_it_sees(tmp_path, answer, status, said):
    async with FakeOpenAI() as server:
        server.otherwise = says('{"decision": "speak", "text": "', answer, '"}')
        options = {"openai": {"base_url": server.base_url}}
        found = await golden(Settings(data_dir=tmp_path, engine={"name": "openai", "options": options}))
    assert found.status is status
    assert said in f"{found.message} {found.advice}"


async def test_an_engine_that_is_not_there(tmp_path):
    options = {"openai": {"base_url": "http://127.0.0.1:1/v1"}}
    found = await golden(Settings(data_dir=tmp_path, engine={"name": "openai", "options": options}))
    assert found.status is FindingStatus.PROBLEM
    found = await golden(Settings(data_dir=tmp_path, engine={"name": "vllm"}))
    assert "joyvl engine install vllm" in found.message


@pytest.mark.parametrize(
    ("speech", "status", "said"),
    [
        ({}, "ok", "the browser's own voice"),
        ({"tts": "off"}, "skipped", "Nothing speaks"),
        ({"tts": "openai", "options": {"openai": {"base_url": "http://127.0.0.1:1/v1"}}}, "problem", "does not answer"),
    ],
)
def test_voices(doctor, speech, status, said):
    found = only(doctor("voices", settings={"speech": speech}))
    assert (found["status"], said in found["message"]) == (status, True), found


def test_ears_without_a_model_say_how_to_get_one(doctor):
    found = only(doctor("ears"))
    assert found["status"] == "skipped"
    assert "joyvl models get" in found["message"]
    found = only(doctor("ears", settings={"speech": {"asr": "whisper"}}))
    assert found["status"] == "problem"


def test_the_memory(doctor):
    assert "joyvl models get e5" in only(doctor("memory"))["message"]
    found = only(doctor("memory", settings={"memory": {"embedder": "e5"}}))
    assert (found["status"], "joyvl models get e5" in found["message"]) == ("problem", True)
    embedder, chroma = doctor("memory", settings={"memory": {"chroma_url": "http://127.0.0.1:1"}})
    assert embedder["status"] == "ok"
    assert "does not answer" in chroma["message"]


def test_agents(doctor):
    assert only(doctor("agents"))["status"] == "skipped"
    options = {"base_url": "http://127.0.0.1:1/v1", "model": "x"}
    found = only(doctor("agents", settings={"agents": {"entries": {"ann": {"type": "openai", "options": options}}}}))
    assert found["status"] == "problem"
    assert found["message"].startswith("ann: ")
    assert "joyvl agents check ann" in found["advice"]


def test_stored_passwords_and_their_key(doctor, tmp_path):
    assert only(doctor("secrets"))["status"] == "skipped"
    data = tmp_path / "data"
    with ServerProcess(data) as server:
        server.camera("door", "rtsp://me:a-password@127.0.0.1:1/x")
    assert "1 stored password is sealed, and can be opened" in only(doctor("secrets"))["message"]
    (data / "secret.key").chmod(0o644)
    assert f"chmod 600 {data}/secret.key" in only(doctor("secrets"))["advice"]
    (data / "secret.key").rename(tmp_path / "elsewhere")
    found = only(doctor("secrets"))
    assert found["status"] == "problem"
    assert "joyvl secrets give-up" in found["advice"]
    assert not (data / "secret.key").exists()
