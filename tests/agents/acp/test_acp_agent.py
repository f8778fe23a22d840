"""A test agent over the real protocol, in processes of its own: the question, the answer, permissions, and bad ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.agents.acp import QUESTION, AgentHouse, People, answer_of
from fakes.clock import ManualClock
from fakes.patience import PATIENCE_S, until
from joyvl_server.agents.acp import confine
from joyvl_server.agents.base import AgentError, AgentProgress, AnswerDelta, Finished

pytestmark = pytest.mark.processes


@pytest.fixture
def house(tmp_path):
    house = AgentHouse(tmp_path)
    yield house
    assert house.processes() == []  # whatever a test did, nothing runs on


async def failure(house, *behaviours, people=None, **options):
    with pytest.raises(AgentError) as raised:
        await answer_of(house.agent(*behaviours, **options), house.folder, people)
    return raised.value


# ------------------------------------------------------------------------------------------------- question and answer


async def test_a_question_is_answered(house):
    finished, events = await answer_of(house.agent("thinks"), house.folder)
    assert finished == Finished("It is a **red** van.", "ses_new")
    assert [event for event in events if isinstance(event, AnswerDelta)] == [
        AnswerDelta("It is a "), AnswerDelta("**red** van."),
    ]  # fmt: skip
    assert AgentProgress("red van") in events
    assert AgentProgress("Read the plate") in events
    assert house.notes["mode"] == "default"
    assert house.notes["kinds"] == ["text", "image", "image"]
    assert "Which van is it?" in house.notes["text"]
    assert house.notes["files"] == [".tmp", "frame_1.jpg", "frame_2.jpg"]


async def test_one_that_takes_no_pictures_gets_files_and_text(house):
    await answer_of(house.agent("blind"), house.folder)
    assert house.notes["kinds"] == ["text"]
    assert "frame_2.jpg" in house.notes["text"]
    assert "frame_2.jpg" in house.notes["files"]


async def test_nothing_of_ours_is_passed_on(house, monkeypatch):
    monkeypatch.setenv("AWS_SECRET", "hidden")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/root/.config")
    await answer_of(house.agent(), house.folder)
    env = house.notes["env"]
    assert set(env) - {"LC_CTYPE", "PWD", "SHLVL", "_"} == {"PATH", "LANG", "HOME", "TMPDIR", "TEST_MARK", "JOYVL_TASK"}
    assert env["HOME"] == str(house.home)
    assert env["TMPDIR"] == f"{house.folder}/.tmp"
    assert house.notes["cwd"] == str(house.folder)
    assert house.notes["nice"] == 19
    assert house.notes["asked"]["clientCapabilities"]["terminal"] is False
    assert house.home.stat().st_mode & 0o777 == 0o700


async def test_lines_that_are_no_messages_and_unknown_requests_do_no_harm(house):
    finished, _ = await answer_of(house.agent("stray", "craft"), house.folder)
    assert finished.answer == "It is a **red** van."
    assert house.notes["refused"] == [-32601, -32601]


async def test_files_of_the_answer_stay_in_the_folder(house):
    await answer_of(house.agent("writes", "settings"), house.folder)
    assert (house.folder / "report.md").read_text() == "# Report"


# ------------------------------------------------------------------------------------------------------------ follow-up


async def test_a_follow_up_goes_on_with_the_session(house):
    finished, _ = await answer_of(house.agent(), house.folder, bundle=replace(QUESTION, agent_session="ses_old"))
    assert house.notes["load"] == house.notes["session"] == "ses_old"
    assert finished == Finished("It is a **red** van.", "ses_old")  # without what it said before
    assert house.notes["mode"] == "default"


async def test_a_session_that_it_has_lost_begins_again(house):
    finished, _ = await answer_of(house.agent("lost"), house.folder, bundle=replace(QUESTION, agent_session="ses_old"))
    assert house.notes["session"] == "ses_new"
    assert finished.agent_session == "ses_new"


async def test_one_that_cannot_load_sessions_is_not_asked_to(house):
    bundle = replace(QUESTION, agent_session="ses_old")
    finished, _ = await answer_of(house.agent("forgets"), house.folder, bundle=bundle)
    assert "load" not in house.notes
    assert finished.agent_session is None


# ---------------------------------------------------------------------------------------------------------- permissions


async def test_allowed(house):
    people = People("yes")
    finished, _ = await answer_of(house.agent("asks"), house.folder, people)
    [request] = people.requests
    assert (request.title, request.detail) == ("Run it", "echo done > proof.txt")
    assert [(option.id, option.kind) for option in request.options] == [("yes", "allow_once"), ("no", "reject_once")]
    assert finished.answer == "It is a **red** van."  # "I look into it." was no answer
    assert (house.folder / "proof.txt").exists()


async def test_denied(house):
    finished, _ = await answer_of(house.agent("asks"), house.folder, People(None))
    assert house.notes["permission"] == {"outcome": "selected", "optionId": "no"}
    assert finished.answer == "I was not allowed to."
    assert not (house.folder / "proof.txt").exists()


@pytest.mark.parametrize("choice", ["only_allow", "no_choice"])
async def test_where_nothing_can_be_rejected_it_is_cancelled(house, choice):
    await answer_of(house.agent("asks", choice), house.folder, People(None))
    assert house.notes["permission"] == {"outcome": "cancelled"}


async def test_an_option_that_was_not_offered_is_none(house):
    await answer_of(house.agent("asks"), house.folder, People("yes, all of it"))
    assert house.notes["permission"] == {"outcome": "selected", "optionId": "no"}


async def test_denied_and_without_a_word(house):
    error = await failure(house, "asks", "mute")
    assert error.code == "refused"


async def test_waiting_for_people_is_no_silence(house):
    people, house.clock = People("…"), ManualClock()
    working = asyncio.create_task(answer_of(house.agent("asks", silent_s=60), house.folder, people))
    await until(lambda: people.asked.is_set() or working.done())
    for _ in range(5):  # each time it is looked at once more, after a longer silence than it may keep
        looked = house.clock.sleepers
        await house.clock.advance(61)
        await until(lambda looked=looked: house.clock.sleepers >= looked or working.done())
    assert not working.done()
    working.cancel()
    await asyncio.wait({working})
    assert house.processes() == []


async def test_one_that_asks_for_ever(house):
    error = await failure(house, "asks_for_ever", limits={"permissions": 7})
    assert error.code == "too_much"
    assert "permissions" in str(error)


# ---------------------------------------------------------------------------------------------------------------- modes


@pytest.mark.parametrize("behaviour", ["no_modes", "only_auto", "refuses_mode"])
async def test_one_that_does_not_ask_is_refused(house, behaviour):
    error = await failure(house, behaviour)
    assert error.code == "unasked"
    assert "text" not in house.notes  # it never got the question


@pytest.mark.parametrize("behaviour", ["no_modes", "only_auto"])
async def test_unless_the_settings_say_so(house, behaviour):
    finished, _ = await answer_of(house.agent(behaviour, unasked=True), house.folder)
    assert finished.answer == "It is a **red** van."


async def test_a_mode_that_does_not_ask_needs_the_word_too(house):
    error = await failure(house, mode="auto")
    assert error.code == "unasked"
    finished, _ = await answer_of(house.agent(mode="auto", unasked=True), house.folder)
    assert house.notes["mode"] == "auto"
    assert finished.answer


async def test_one_that_leaves_its_mode_is_ended(house):
    error = await failure(house, "leave_mode")
    assert error.code == "unasked"


# ------------------------------------------------------------------------------------------------------------- bad ends


@pytest.mark.parametrize(
    ("behaviours", "options", "code"),
    [
        (["exit", "spread"], {}, "died"),
        (["broken"], {}, "protocol"),
        (["long_line"], {}, "too_much"),
        (["flood"], {"limits": {"output_mb": 10}}, "too_much"),
        (["flood"], {"limits": {"output_mb": 1000, "updates": 2000}}, "too_much"),
        (["complain", "hang"], {}, "too_much"),
        (["memory"], {"limits": {"memory_mb": 200}}, "too_much"),
        (["many", "hang"], {"limits": {"processes": 20}}, "too_much"),
        (["hang", "spread"], {"silent_s": 2}, "silent"),
        (["no_greeting"], {"start_s": 2}, "timeout"),
        (["other_version"], {}, "protocol"),
        (["wants_login"], {}, "login"),
        (["fails"], {}, "refused"),
        (["refuses"], {}, "refused"),
        (["mute"], {}, "died"),
    ],
)
async def test_a_bad_end_is_bounded_and_told(house, behaviours, options, code):
    error = await failure(house, *behaviours, **options)
    assert error.code == code
    assert house.processes() == []


@pytest.mark.parametrize("behaviours", [["fills"], ["fills", "home"]])
async def test_one_that_fills_the_disk_is_told_which_limit_it_was(house, behaviours):
    error = await failure(house, *behaviours, limits={"disk_mb": 20})
    assert str(error) == "It wrote more than 20 MB: limits.disk_mb."
    written = sum(path.stat().st_size for path in (house.folder, house.home) for path in path.rglob("*.bin"))
    assert written < 500_000_000


async def test_what_lay_in_its_home_before_does_not_count(house):
    house.home.mkdir(parents=True)
    (house.home / "cache.bin").write_bytes(os.urandom(3_000_000))
    working = asyncio.create_task(answer_of(house.agent("hang", limits={"disk_mb": 2}), house.folder))
    done, _ = await asyncio.wait({working}, timeout=3)  # pace: it is looked at each second
    assert not done
    working.cancel()
    await asyncio.wait({working})


async def test_a_file_that_gets_too_large_cannot_be_written_and_the_agent_goes_on(house):
    finished, _ = await answer_of(house.agent("one_file", limits={"file_mb": 5}), house.folder)
    assert house.notes["file"] == "File too large"
    assert finished.answer == "It is a **red** van."


async def test_why_it_died_is_told_without_secrets(house):
    error = await failure(house, "exit", env={"KEY": "SECRET_WORD_1"})
    assert "ended with status 3" in str(error)
    assert "fatal: no model for ***" in str(error)


async def test_a_secret_so_short_that_it_is_found_in_other_words_is_no_secret(house):
    assert "fatal: no model" in str(await failure(house, "exit", env={"KEY": "a", "OTHER": "fatal"}))


async def test_a_login_that_is_missing_is_told_with_the_command(house):
    assert "Authentication required. Log in: joyvl agents login test." in str(await failure(house, "wants_login"))


async def test_one_that_is_not_ready_in_time_is_told_with_the_option(house):
    told = "It was not ready within 1 s (options.start_s): it did not answer initialize."
    assert told in str(await failure(house, "no_greeting", start_s=1))


async def test_an_answer_that_was_cut_says_so(house):
    finished, _ = await answer_of(house.agent("cut"), house.folder)
    assert "Cut short" in finished.answer


async def test_a_flood_leaves_the_loop_to_others(house):
    late = []

    async def tick():
        while True:
            due = time.monotonic() + 0.02
            await asyncio.sleep(0.02)
            late.append(time.monotonic() - due)

    ticking = asyncio.create_task(tick())
    error = await failure(house, "flood", limits={"output_mb": 20})
    ticking.cancel()
    assert error.code == "too_much"
    late.sort()
    assert late[int(len(late) * 0.95)] < 0.1


def session_nice(pid="self") -> str:
    """Empty where the kernel does not share the processor out among sessions."""
    try:
        return Path(f"/proc/{pid}/autogroup").read_text().strip().rpartition(" ")[2]
    except OSError:
        return ""


def sessions_can_be_nice() -> bool:
    """Some containers only show it."""
    tries = "for n in 1 2 3 4 5; do sleep 0.3; echo 3 > /proc/self/autogroup && exit; done; exit 1"
    return subprocess.run(["setsid", "--wait", "sh", "-c", tries], check=False).returncode == 0


async def test_what_leaves_its_session_stays_nice(house):
    """Where the kernel shares the processor out among sessions, the nice value of a process alone means little."""
    before = session_nice()
    expected = "10" if sessions_can_be_nice() else before
    working = asyncio.create_task(answer_of(house.agent("hang", "spread"), house.folder, People()))
    await until(lambda: len(house.pids(lambda command: "sleep" in command)) >= 1 or working.done())

    def nices():
        return {pid: session_nice(pid) for pid in house.pids(lambda command: True)}

    await until(lambda: set(nices().values()) == {expected} or working.done(), nices)
    assert not working.done()
    assert session_nice() == before, "the server's own session stays as it was"
    working.cancel()
    await asyncio.wait({working})


@pytest.mark.parametrize("behaviours", [["hang", "spread"], ["asks", "spread"], ["many", "hang"]])
@pytest.mark.parametrize("how", ["cancel", "close", "aclose"])
async def test_whatever_ends_it_ends_all_that_it_started(house, behaviours, how):
    agent, people = house.agent(*behaviours), People("…")

    async def work():
        async with aclosing(agent.run(QUESTION, house.folder, people)) as events:
            async for _ in events:
                pass

    working = asyncio.create_task(work())
    async with asyncio.timeout(PATIENCE_S):
        while len(house.processes()) < 4:
            await asyncio.sleep(0.05)
    if how == "aclose":
        await agent.aclose()
        await asyncio.wait({working})
        assert isinstance(working.exception(), AgentError)
    else:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    assert house.processes() == []


async def test_a_consumer_that_stops_in_the_middle_ends_it(house):
    async with aclosing(house.agent("thinks", "spread").run(QUESTION, house.folder, People())) as events:
        async for _ in events:
            break
    assert house.processes() == []


@pytest.mark.skipif(not confine.version(), reason="this kernel has no Landlock")
async def test_it_writes_nowhere_else(house, tmp_path):
    places = [str(tmp_path / "other"), f"/tmp/{house.mark}", str(house.folder / "inside"), str(house.home / "kept")]
    env = {"OUTSIDE": json.dumps(places), "VICTIM": str(os.getpid())}
    await answer_of(house.agent("outside", env=env), house.folder)
    assert house.notes["failed"] == places[:2]
    assert house.notes["wrote"] == places[2:]
    assert house.notes["signal"] == "Operation not permitted"


# ---------------------------------------------------------------------------------------------------------------- check


async def test_check(house):
    report = await house.agent().check()
    assert report.ready
    assert report.version == "1.2"
    assert "text" not in house.notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": ["no-such-agent"]}, "no-such-agent is not there"),
        ({"preset": "opencode", "path": []}, "npm install -g opencode-ai"),
        ({"command": ["/bin/true"]}, "died before it answered"),
    ],
)
async def test_check_tells_what_is_missing(house, options, words, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    report = await house.make(options).check()
    assert not report.ready
    assert words in report.message


async def test_check_of_one_that_does_not_ask(house):
    report = await house.agent("no_modes").check()
    assert not report.ready
    assert "unasked" in report.message


async def test_an_old_node_is_told(house, tmp_path, monkeypatch):
    for name, text in (("node", "echo v18.1.0"), ("claude-agent-acp", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    report = await house.make({"preset": "claude", "path": [str(tmp_path)]}).check()
    assert "needs Node.js 22.0 or newer; this one is v18.1" in report.message
