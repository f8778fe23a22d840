"""The input log on a disk that hangs: it holds nobody, and what is lost is counted and told."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from structlog.testing import capture_logs

from fakes.patience import PATIENCE_S
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.inputs import QueryWithdrawn
from joyvl_server.sessions.machine import input_log
from joyvl_server.sessions.machine.input_log import InputLog

LINE = QueryWithdrawn(1.0, "qry_1")


def lines_of(path):
    return path.read_text().splitlines()


async def test_all_lines_are_there_after_closing(tmp_path):
    recorder = InputLog.open(tmp_path, "ses_1", ObserverConfig())
    for _ in range(100):
        recorder.write(LINE, [])
    await recorder.aclose()
    await recorder.aclose()
    assert len(lines_of(tmp_path / "ses_1.jsonl")) == 101
    assert recorder.dropped == 0


@pytest.mark.parametrize("written", [10, 5000])
async def test_a_disk_that_hangs_holds_nobody(tmp_path, monkeypatch, written):
    """A pipe that nobody reads: opening it blocks for ever, as a dead network disk does. With a full queue too."""
    monkeypatch.setattr(input_log, "CLOSE_TIMEOUT_S", 0.3)
    os.mkfifo(tmp_path / "ses_1.jsonl")
    recorder = InputLog.open(tmp_path, "ses_1", ObserverConfig())
    with capture_logs() as lines:
        for _ in range(written):
            recorder.write(LINE, [])
        turns = 0
        closing = asyncio.ensure_future(recorder.aclose())
        while not closing.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 3  # the loop went on meanwhile
    assert recorder.dropped >= written
    told = [line["event"] for line in lines]
    assert told == (["input log drops lines"] if written > 4096 else []) + ["input log lost lines"]
    # The disk comes back: the thread ends, and writes nothing that a later log of the session would stand before.
    descriptor = os.open(tmp_path / "ses_1.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(recorder._ended)), PATIENCE_S)
    assert os.read(descriptor, 100_000) == b""
    os.close(descriptor)


async def test_many_that_hang_wait_at_the_same_time(tmp_path, monkeypatch):
    monkeypatch.setattr(input_log, "CLOSE_TIMEOUT_S", 1.5)
    recorders = []
    for n in range(64):
        os.mkfifo(tmp_path / f"ses_{n}.jsonl")
        recorders.append(InputLog.open(tmp_path, f"ses_{n}", ObserverConfig()))
    with capture_logs():  # one after the other they would need a minute and a half
        started = time.monotonic()
        await recorders.pop().aclose()
        alone = time.monotonic() - started
        started = time.monotonic()
        await asyncio.gather(*(recorder.aclose() for recorder in recorders))
        together = time.monotonic() - started
    assert together < alone * len(recorders) / 2
    for n in range(64):
        os.close(os.open(tmp_path / f"ses_{n}.jsonl", os.O_RDONLY | os.O_NONBLOCK))


async def test_a_folder_that_cannot_be_made_costs_only_the_log(tmp_path):
    (tmp_path / "file").touch()
    with capture_logs() as lines:
        recorder = InputLog.open(tmp_path / "file" / "logs", "ses_1", ObserverConfig())
        for _ in range(10):
            recorder.write(LINE, [])
        await recorder.aclose()
    assert recorder.dropped == 11
    assert [line["event"] for line in lines] == ["input log cannot be written", "input log lost lines"]
