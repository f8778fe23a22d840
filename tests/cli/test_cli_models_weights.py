"""`joyvl models get joyai`: the weights of the interaction model, from hubs of the test's own."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import namedtuple

import pytest
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S, wait_until
from fakes.server.file_server import file_server_in_a_thread
from fakes.server.model_hub import COMMIT, publish, publish_modelscope, weights
from joyvl_server.cli.doctor.model.place import model_place
from joyvl_server.cli.main import app
from joyvl_server.cli.models import get as fetching
from joyvl_server.cli.models.progress import TotalProgress
from joyvl_server.engines.vllm.options import MODEL
from joyvl_server.engines.vllm.weights import with_places
from joyvl_server.kit import downloads
from joyvl_server.kit.clock import SystemClock
from joyvl_server.kit.hubs.snapshot import RECEIPT
from joyvl_server.settings import Settings

ON_MODELSCOPE = "jd-opensource/JoyAI-VL-Interaction"
SHARDS = tuple(random.Random(number).randbytes(4_000_000) for number in range(3))
FILES = weights(*SHARDS)
UNWANTED = {"README.md", "modeling.py", "pytorch_model.bin"}
SECOND = "model-00002-of-00003.safetensors"


@pytest.fixture
def hub():
    with file_server_in_a_thread() as server:
        publish(server, MODEL, FILES, small=("config.json", "tokenizer.json", "LICENSE", "README.md"))
        publish_modelscope(server, ON_MODELSCOPE, FILES)
        server.range_status = 206
        yield server


@pytest.fixture
def get(hub, tmp_path, monkeypatch):
    monkeypatch.delenv("JOYVL_CONFIG", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)

    def run(*arguments, name="joyai"):
        place = ("--mirror", hub.url, "--data-dir", str(tmp_path))
        return CliRunner().invoke(app, ["models", "get", name, *arguments, *place])

    return run


def is_whole(folder):
    names = {path.name for path in folder.iterdir()} - {RECEIPT}
    return names == FILES.keys() - UNWANTED and all((folder / name).read_bytes() == FILES[name] for name in names)


def test_all_that_vllm_needs_is_fetched_and_no_code(get, hub, tmp_path):
    result = get()
    assert result.exit_code == 0, result.output
    folder = tmp_path / "models/joyai"
    assert is_whole(folder)
    assert "100 %  12.0 of 12.0 MB" in result.output
    assert f"{folder} is ready: engine vllm takes it from there." in result.output
    listed = CliRunner().invoke(app, ["models", "list", "--data-dir", str(tmp_path)]).output
    assert [line.split()[1] for line in listed.splitlines() if line.startswith("* ")] == ["joyai"]


def test_what_is_there_is_told_at_once_and_nobody_is_asked(get, hub, tmp_path):
    assert get().exit_code == 0
    hub.asked.clear()
    again = get()
    assert (again.exit_code, "is there already" in again.output, hub.asked) == (0, True, [])


def test_a_folder_of_ones_own(get, tmp_path):
    folder = tmp_path / "weights/eight"
    assert get("--out", str(folder)).exit_code == 0
    assert is_whole(folder)


def test_engine_vllm_takes_what_is_there_whole_unless_another_is_named(get, tmp_path):
    folder = tmp_path / "models/joyai"

    def model(**options):
        found = with_places({"vllm": options} if options else {}, tmp_path, tmp_path / "models")["vllm"]
        assert found["environments_dir"] == tmp_path / "environments"
        return found.get("model")

    assert model() is None
    get()
    assert model() == str(folder)
    assert model(model="owner/other") == "owner/other"
    assert model(revision="v2") is None
    settings = Settings(data_dir=tmp_path, engine={"name": "vllm"})
    assert model_place(settings, None, {}).folder == folder
    (folder / SECOND).unlink()
    assert model() is None


def test_a_file_that_went_missing_is_fetched_and_no_other(get, hub, tmp_path):
    get()
    (tmp_path / "models/joyai" / SECOND).unlink()
    hub.asked.clear()
    assert get().exit_code == 0
    assert is_whole(tmp_path / "models/joyai")
    assert [path for path, _ in hub.asked if "/resolve/" in path] == [f"/{MODEL}/resolve/{COMMIT}/{SECOND}"]


def test_a_file_that_rotted_is_found_when_asked_to_look(get, tmp_path):
    get()
    path = tmp_path / "models/joyai" / SECOND
    before = path.stat()
    path.write_bytes(b"x" + path.read_bytes()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "is there already" in get().output
    assert get("--check").exit_code == 0
    assert is_whole(tmp_path / "models/joyai")


def test_what_a_newer_state_has_no_more_goes(get, hub, tmp_path):
    get()
    newer = weights(SHARDS[0], SHARDS[1][::-1])
    publish(hub, MODEL, newer)
    assert get("--check").exit_code == 0
    names = {path.name for path in (tmp_path / "models/joyai").iterdir()}
    assert {name for name in names if name.endswith(".safetensors")} == {
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    }  # fmt: skip


def test_a_line_that_breaks_is_taken_up_where_it_broke(get, hub, tmp_path):
    hub.statuses[f"/{MODEL}/resolve/{COMMIT}/{SECOND}"] = [503]
    hub.break_after = 3_000_000
    result = get()
    assert result.exit_code == 0, result.output
    assert is_whole(tmp_path / "models/joyai")
    begins = [int(given.removeprefix("bytes=").rstrip("-")) for _, given in hub.asked if given]
    assert len(begins) == len(SHARDS)
    assert min(begins) > 1_000_000


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
@pytest.mark.processes
def test_killed_in_the_middle_it_goes_on_from_there(hub, tmp_path, source):
    hub.range_status = 200 if source == "modelscope" else 206
    hub.hold_after = 3_000_000
    command = [sys.executable, "-m", "joyvl_server.cli", "models", "get", "joyai", "--from", source]
    command += ["--mirror", hub.url, "--data-dir", str(tmp_path)]
    part = tmp_path / "models/joyai/model-00001-of-00003.safetensors.part"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)
    there = part.stat().st_size
    hub.hold_after = None
    hub.asked.clear()
    again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert again.returncode == 0, again.stderr
    assert is_whole(tmp_path / "models/joyai")
    (begun,) = [given for _, given in hub.asked if given]
    assert begun == f"bytes={there}-"
    assert "\r" not in again.stdout  # a log has lines
    assert " MB are there." in again.stdout


@pytest.mark.processes
def test_a_container_that_is_stopped_ends_it_and_keeps_what_there_is(hub, tmp_path):
    hub.hold_after = 3_000_000
    command = [sys.executable, "-m", "joyvl_server.cli", "models", "get", "joyai"]
    process = subprocess.Popen([*command, "--mirror", hub.url, "--data-dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    part = tmp_path / "models/joyai/model-00001-of-00003.safetensors.part"
    try:
        wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000)
        process.terminate()
        assert process.wait(PATIENCE_S) == 143
    finally:
        process.kill()
        process.wait()
    assert part.read_bytes() == SHARDS[0][: part.stat().st_size]


def test_modelscope_has_paths_of_its_own(get, hub, tmp_path):
    assert get("--from", "modelscope").exit_code == 0
    assert is_whole(tmp_path / "models/joyai")
    assert {path.split("?")[0] for path, _ in hub.asked} == {
        f"/api/v1/models/{ON_MODELSCOPE}/repo/files", f"/api/v1/models/{ON_MODELSCOPE}/repo"
    }  # fmt: skip
    hub.asked.clear()
    assert "is there already" in get().output, "the same weights, whatever hub they came from"


def test_weights_begun_on_one_hub_are_completed_from_the_other(get, hub, tmp_path):
    path = f"/{MODEL}/resolve/{COMMIT}/model-00003-of-00003.safetensors"
    hub.files[path] = SHARDS[2][::-1]
    assert get().exit_code == 1
    hub.asked.clear()
    assert get("--from", "modelscope").exit_code == 0
    assert is_whole(tmp_path / "models/joyai")
    assert len([path for path, _ in hub.asked if "FilePath" in path]) == 1


def test_any_repository_by_its_name(get, hub, tmp_path):
    publish(hub, "somebody/Other-8B", weights(b"only one"))
    assert get(name="somebody/Other-8B").exit_code == 0
    assert (tmp_path / "models/somebody--Other-8B/model-00001-of-00001.safetensors").read_bytes() == b"only one"
    other = get("--out", str(tmp_path / "models/somebody--Other-8B"))
    assert (other.exit_code, "choose another folder" in other.output) == (1, True)


def test_another_file_than_the_hub_names_is_thrown_away(get, hub, tmp_path):
    hub.files[f"/{MODEL}/resolve/{COMMIT}/{SECOND}"] = SHARDS[1][::-1]
    result = get()
    assert (result.exit_code, "its hash is another one" in result.output) == (1, True)
    assert not (tmp_path / "models/joyai" / SECOND).exists()


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (FILES | {"config.json": None}, "holds no weights that vLLM reads"),
        (FILES | {SECOND: None}, f"has no {SECOND}"),
        (FILES | {"model.safetensors.index.json": b'{"weight_map": {"a": "../../x.safetensors"}}'}, "names '../../x"),
        (FILES | {"model.safetensors.index.json": b"{}"}, "names no weights"),
    ],
)
def test_repositories_that_hold_something_else(get, hub, tmp_path, files, sentence):
    publish(hub, MODEL, {name: body for name, body in files.items() if body is not None})
    result = get()
    assert (result.exit_code, sentence in result.output) == (1, True), result.output
    assert not list(tmp_path.glob("**/*.safetensors"))


def test_a_disk_too_small_is_told_before_the_large_files(get, hub, monkeypatch):
    usage = namedtuple("usage", "total used free")(1, 1, downloads.KEEP_FREE + 5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    result = get()
    assert (result.exit_code, "MB are needed" in result.output) == (1, True)
    assert not [path for path, _ in hub.asked if path.endswith(".safetensors")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--from", "elsewhere"), "huggingface or modelscope"),
        (("whisper-base", "--from", "modelscope"), "go with weights only"),
        (("e5", "--out", "/tmp/x"), "one model's weights"),
        (("a/b/c",), "no name of a repository"),
    ],
)
def test_wrong_calls(get, hub, arguments, sentence):
    result = get(*arguments)
    assert (result.exit_code, sentence in result.output, hub.asked) == (2, True, []), result.output


def test_a_hub_that_has_no_such_model_or_is_away(get, hub, tmp_path):
    result = get("--from", "modelscope", name="somebody/nothing")
    assert (result.exit_code, "has no somebody/nothing" in result.output) == (1, True)
    hub.files[f"/api/v1/models/{ON_MODELSCOPE}/repo/files?Revision=master&Recursive=false"] = b"<html>"
    result = get("--from", "modelscope")
    assert (result.exit_code, "does not list" in result.output) == (1, True)
    away = CliRunner().invoke(
        app, ["models", "get", "joyai", "--mirror", "http://127.0.0.1:9", "--data-dir", str(tmp_path)]
    )
    assert (away.exit_code, "cannot be reached" in away.output) == (1, True)
    assert "Is this machine online?" in away.output
    assert "HF_ENDPOINT" in away.output


def test_a_token_goes_to_the_hub_and_to_nobody_else(get, hub, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("hf_planted-token\n")
    with file_server_in_a_thread() as elsewhere:
        path = f"/{MODEL}/resolve/{COMMIT}/{SECOND}"
        elsewhere.files[path] = hub.files[path]
        hub.redirects[path] = elsewhere.url + path
        hub.wanted_token = "hf_planted-token"
        refused = get()
        assert (refused.exit_code, "HF_TOKEN, or --token-file" in refused.output) == (1, True)
        result = get("--token-file", str(token))
        assert result.exit_code == 0, result.output
        assert elsewhere.tokens == {path: ""}
    assert is_whole(tmp_path / "models/joyai")
    assert "planted-token" not in result.output + refused.output
    token.write_text("hf_planted-other\n")
    refused = get("--check", "--token-file", str(token))
    assert (refused.exit_code, "The token given may not read it" in refused.output) == (1, True)
    assert "planted" not in refused.output


def test_the_token_of_the_environment_is_for_the_hub_itself(get, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_planted-token")
    assert get().exit_code == 0
    assert set(hub.tokens.values()) == {""}
    own, mirror = (fetching.WeightsPlace("huggingface", url, None, None, False) for url in (None, "https://m.test"))
    given = fetching.read_token(None, own)
    assert given is not None
    assert given.headers("https://huggingface.co/x") == {"authorization": "Bearer hf_planted-token"}
    assert given.headers("https://huggingface.co.m.test/x") == {}
    assert fetching.read_token(None, mirror) is None


@pytest.mark.parametrize(
    ("token", "said"), [("hf_planted-old", "does not take the token that HF_TOKEN holds"), ("planted\x07", "no token")]
)
def test_a_token_of_the_environment_that_is_over_does_not_keep_public_models_away(
    hub, tmp_path, monkeypatch, token, said
):
    monkeypatch.setattr(fetching, "HUB", hub.url)
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    call = ["models", "get", "joyai", "--data-dir", str(tmp_path)]
    hub.wanted_token = "hf_planted-own"
    private = CliRunner().invoke(app, call)
    assert private.exit_code == 1
    assert private.output.count("HF_TOKEN") >= 2
    hub.tokens.clear()
    hub.refuses_tokens = True
    hub.wanted_token = None
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert said in result.output
    assert is_whole(tmp_path / "models/joyai")
    assert "planted" not in result.output + private.output
    token_file = tmp_path / "token"
    token_file.write_text("hf_planted-given")
    given = CliRunner().invoke(app, [*call, "--check", "--token-file", str(token_file)])
    assert (given.exit_code, "The token given may not read it" in given.output) == (1, True), "it was meant to be used"


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        ("", (), "holds no token"),
        ("planted\nplanted", (), "holds no token"),
        ("planted\x07", (), "holds no token"),
        (None, (), "cannot be read"),
        ("planted", ("--from", "modelscope"), "asked without a token"),
        ("planted", ("--mirror", "http://hub.test"), "without TLS"),
    ],
)
def test_tokens_that_are_none_or_would_be_seen(get, hub, tmp_path, text, arguments, sentence):
    token = tmp_path / "token"
    if text is not None:
        token.write_text(text)
    result = CliRunner().invoke(
        app,
        ["models", "get", "joyai", "--mirror", hub.url, "--data-dir", str(tmp_path), "--token-file", str(token)]
        + list(arguments),
    )
    assert (result.exit_code, sentence in result.output) == (2, True), result.output
    assert "planted" not in result.output
    assert hub.asked == []


class Stopwatch(SystemClock):
    now = 0.0

    def monotonic(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_has_a_line_now_and_then_and_a_terminal_one_that_changes():
    for stream, lines in ((io.StringIO(), 3), (Terminal(), 2)):
        clock = Stopwatch()
        progress = TotalProgress(stream, clock)
        progress.total({"a": 100_000_000, "b": 0}, 1_100_000_000)
        for number in range(1, 101):
            clock.now += 0.5
            progress.progress("b", number * 10_000_000, 1_000_000_000)
        text = stream.getvalue()
        assert "0.1 of 1.1 GB are there." in text
        assert "100 %  1.1 of 1.1 GB  20.0 MB/s  0 s left  b is whole\n" in text
        assert "20.0 MB/s  20 s left  b" in text, text
        assert lines <= text.count("\n") <= 6
