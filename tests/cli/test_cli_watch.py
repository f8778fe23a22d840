from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S
from joyvl_server.cli.main import app
from joyvl_server.cli.watch import pull_spec
from joyvl_server.cli.watch_output import TextPrinter, clock
from joyvl_server.core.errors import ConfigError, SourceError
from joyvl_server.ingest.demo import ARRIVALS, DEPARTURES, draw_demo

pytestmark = pytest.mark.processes

FIELDS = {"t", "decision", "kind", "zone", "text", "score", "look"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_demo(tmp_path_factory.mktemp("clip") / "clip.mp4")


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "joyvl_server.cli", "watch", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_one_object_a_tick(clip: Path):
    done = run(clip, "--json", "--speed", "max", "--watch", "Tell me who comes and goes")
    assert done.returncode == 0, done.stderr
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(ticks) == 44
    assert all(tick.keys() >= FIELDS for tick in ticks)
    assert {tick["decision"] for tick in ticks} == {"silent", "speak"}
    assert "does not read words: this watch fires when something comes in or something goes away." in done.stderr
    for kind, times in (("enter", ARRIVALS), ("leave", DEPARTURES)):
        seen = [tick["t"] for tick in ticks if tick["kind"] == kind and tick["decision"] == "speak"]
        assert len(seen) == len(times)
        assert all(abs(a - b) <= 2 for a, b in zip(seen, times, strict=True)), (kind, seen)


def test_a_watch_for_arrivals_fires_at_arrivals_only(clip: Path):
    done = run(clip, "--json", "--speed", "max", "--watch", "Tell me when someone comes in")
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    spoken = [tick for tick in ticks if tick["decision"] == "speak"]
    assert [(tick["kind"], len(tick["watches"])) for tick in spoken] == [("enter", 1)] * len(ARRIVALS)
    assert all(abs(tick["t"] - at) <= 2 for tick, at in zip(spoken, ARRIVALS, strict=True)), spoken
    kept_back = [tick["kind"] for tick in ticks if tick["suppressed"] == "kind"]
    assert set(kept_back) == {"leave"}


def test_kinds_are_chosen_and_checked(clip: Path):
    done = run(clip, "--json", "--speed", "max", "--watch", "Tell me when someone comes in", "--kinds", "leave")
    ticks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["kind"] for t in ticks if t["decision"] == "speak"] == ["leave"] * len(DEPARTURES)
    refused = run(clip, "--watch", "x", "--kinds", "sleep")
    assert refused.returncode != 0
    assert "any, or some of enter" in refused.stderr


def test_the_same_file_gives_the_same_decisions(clip: Path):
    first, second = run(clip, "--json", "--speed", "max"), run(clip, "--json", "--speed", "100")

    def told(done: subprocess.CompletedProcess[str]) -> list[tuple[object, ...]]:
        return [tuple(json.loads(line)[f] for f in sorted(FIELDS)) for line in done.stdout.splitlines()]

    assert told(first) == told(second)


def test_text_for_people(clip: Path):
    done = run(clip, "--speed", "max", "--duration", "10")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "[enter, " in line
    assert "\x1b" not in done.stderr  # no status line where nobody can see it
    assert "640x360" in done.stderr


def test_a_recorded_session_replays(clip: Path, tmp_path: Path):
    assert run(clip, "--speed", "max", "--json", "--duration", "8", "--record", tmp_path).returncode == 0
    (log,) = tmp_path.glob("*.jsonl")
    result = CliRunner().invoke(app, ["replay", str(log)])
    assert result.exit_code == 0, result.output
    effects = [json.loads(line)["effect"]["type"] for line in result.stdout.splitlines()]
    assert effects[:3] == ["BeginChunk", "Append", "AskScore"]
    assert effects.count("Decided") >= 8

    lines = log.read_text().splitlines()
    altered = [line.replace('"type":"Say"', '"type":"Settle"') for line in lines]
    log.write_text("\n".join(altered))
    result = CliRunner().invoke(app, ["replay", str(log)])
    assert result.exit_code == 1
    assert "differ" in result.stderr


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        (["no-such-file.mp4"], 1, "There is no file no-such-file.mp4."),
        (["file:///no/such%20file.mp4"], 1, "There is no file file:///no/such%20file.mp4."),
        (["README.md", "--speed", "0"], 2, "--speed takes a number above 0"),
        (["README.md", "--engine", "nonesuch"], 2, "nonesuch"),
        (["README.md", "--fidelity", "best"], 2, "sessions.fidelity: should be 'faithful'"),
        (["rtsp://cam:s3cret@127.0.0.1:1/x", "--speed", "2"], 2, "--speed is for files"),
    ],
)
def test_what_is_wrong_is_one_sentence(args: list[str], status: int, sentence: str):
    result = CliRunner().invoke(app, ["watch", *args])
    assert result.exit_code == status
    assert sentence in result.stderr
    assert "s3cret" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_is_no_video(tmp_path: Path):
    path = tmp_path / "text.mp4"
    path.write_text("This is no video." * 100)
    for speed in ("max", "1"):
        done = run(path, "--speed", speed, "--duration", "3")
        assert done.returncode == 1
        (sentence,) = done.stderr.splitlines()
        assert sentence.startswith("joyvl: ")


def test_a_camera_that_is_away_is_waited_for_and_that_is_said_once():
    command = [sys.executable, "-m", "joyvl_server.cli", "watch", "rtsp://127.0.0.1:1/x"]
    # Where the tests run in the background, Ctrl-C is ignored, and children would inherit that.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hears) as watching:
        assert watching.stderr is not None
        first, second = watching.stderr.readline(), watching.stderr.readline()
        watching.send_signal(signal.SIGINT)
        rest = watching.stderr.read()
    assert first == "Waiting for the source, however long it is away. Ctrl-C ends it.\n"
    assert "refuses connections" in second
    assert ("Waiting" in rest, watching.returncode) == (False, 130)


def test_paths_and_urls(tmp_path: Path):
    path = tmp_path / "a clip.mp4"
    path.touch()
    assert pull_spec(str(path), "1", False).url.endswith("/a%20clip.mp4")
    assert not pull_spec(str(path), "1", False).lockstep
    assert pull_spec(str(path), "8", False).lockstep
    assert pull_spec(path.as_uri(), "1", False).url == path.as_uri()
    assert pull_spec("rtsp://cam/1", "1", True).loop is False
    with pytest.raises(ConfigError):
        pull_spec("rtsp://cam/1", "2", False)
    with pytest.raises(SourceError):
        pull_spec(str(tmp_path / "none.mp4"), "1", False)


@pytest.mark.parametrize(("t", "text"), [(0.0, "0:00.0"), (75.25, "1:15.2"), (3725.0, "1:02:05.0"), (-1.0, "0:00.0")])
def test_times_are_read_like_a_clock(t: float, text: str):
    assert clock(t) == text


def test_the_status_line_is_always_the_last_one(capsys: pytest.CaptureFixture[str]):
    printer = TextPrinter(live=True)
    printer._show("status")
    printer._line("said")
    out, err = capsys.readouterr()
    assert out == "said\n"
    assert err.endswith("\r\x1b[Kstatus")
