"""Processes that are found by their mark, whatever has become of those that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fakes.patience import wait_until
from joyvl_server.kit.processes import marks

pytestmark = pytest.mark.processes

LEAVES = """
import os, subprocess, sys, time
from pathlib import Path
from joyvl_server.kit.processes import marks
env = {**os.environ, marks.VARIABLE: marks.new_mark(Path(sys.argv[1]))}
left = subprocess.Popen(["sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & wait"], env=env)
print(env[marks.VARIABLE], flush=True)
time.sleep(1000)
"""


def carriers(mark: str) -> list[int]:
    return list(marks._carriers(lambda found: found == mark))


@pytest.fixture
def started(tmp_path):
    """An owner, and the mark of what it has started: three processes."""
    owner = subprocess.Popen([sys.executable, "-c", LEAVES, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    mark = owner.stdout.readline().strip()
    wait_until(lambda: len(carriers(mark)) == 3)
    yield owner, mark
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert marks.kill_marked(mark)


def test_all_that_carry_a_mark_are_killed_and_no_others(started, tmp_path):
    _, mark = started
    assert marks.kill_marked(marks.new_mark(tmp_path))
    assert len(carriers(mark)) == 3
    assert marks.kill_marked(mark)
    assert carriers(mark) == []


def test_what_a_killed_owner_left_is_killed_at_its_own_place_alone(started, tmp_path):
    owner, mark = started
    assert marks.kill_abandoned(tmp_path)
    assert len(carriers(mark)) == 3, "its owner lives"
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert marks.kill_abandoned(tmp_path / "other")
    assert len(carriers(mark)) == 3
    assert marks.kill_abandoned(tmp_path)
    assert carriers(mark) == []


def test_an_owner_is_told_from_a_later_process_of_its_number():
    assert marks.owner_lives(marks.owner())
    assert not marks.owner_lives(f"{os.getpid()}-1")
    assert marks.owner_lives("no owner at all"), "nothing is known of it"
