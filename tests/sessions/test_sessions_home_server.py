"""A session at servers that read every picture again at each request, and at those that do not; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bench.simulation.virtual_time import run_virtual

from fakes.engines.home_server import SILENT, Asked, Home, HomeServer, home, speaks


def play(server: HomeServer, scene: Callable[[Home], Awaitable[Any]], **about: Any) -> Any:
    async def inside() -> Any:
        async with home(server, **about) as opened:
            return await scene(opened)

    return run_virtual(inside())


def updates(h: Home, type: str) -> list[Any]:
    return [update for update in h.session.updates._ring if update.type == type]


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


@pytest.mark.parametrize(("picture", "most"), [(0.25, 2), (0.1, 6), (0.05, 12)])
def test_decisions_stay_young_with_as_many_pictures_as_there_is_time_for(picture: float, most: int):
    async def scene(h: Home) -> None:
        await asyncio.sleep(150)
        ages = h.ages(since=30)
        assert len(ages) >= 118
        assert p95(ages) <= 1.0
        sent = [asked.pictures for asked in h.server.asked if asked.at > 30]
        assert max(sent) == most
        assert sorted(sent)[len(sent) // 4] >= most - 1

    play(HomeServer(0.3, picture, noise=0.02), scene)


def test_a_server_too_slow_for_one_picture_is_asked_as_often_as_it_can_be_always_with_the_newest():
    async def scene(h: Home) -> None:
        await asyncio.sleep(180)
        decided = h.decisions(since=30)
        times = [t["t"] for t in decided]
        assert max(b - a for a, b in zip(times, times[1:], strict=False)) <= 4.0
        assert max(h.ages(since=30)) <= 3.5
        assert {asked.pictures for asked in h.server.asked if asked.at > 30} == {1}
        manages = "The engine openai manages one decision every 3.3 s, always about the newest picture."
        assert h.session.describe()["engine_state"]["reason"] == manages
        assert h.registry.engines.slow() == {"openai": manages}  # what /readyz shows
        told = [u.data["session"]["engine_state"]["status"] for u in updates(h, "session.updated")]
        assert told.count("slow") >= 1
        h.server.picture = 0.2  # a faster card
        await asyncio.sleep(60)
        assert h.session.describe()["engine_state"]["status"] == "ready"
        assert max(h.ages(since=h.session.source.now - 20)) <= 1.1

    play(HomeServer(0.3, 3.0), scene)


@pytest.mark.parametrize("caches", [False, True])
def test_a_server_that_keeps_pictures_gets_a_prompt_that_only_grows(caches: bool):
    """Law 2, whether the probe knew of its cache or not, and also while it is slow for other reasons."""

    async def scene(h: Home) -> None:
        h.server.extra = lambda at: 0.6 if 25 < at < 45 else 0.0
        await asyncio.sleep(62)
        asked = [asked for asked in h.server.asked if asked.read]  # texts that it writes show nothing new
        assert all(b.pictures == a.pictures + 1 for a, b in zip(asked, asked[1:], strict=False))
        assert {asked.read for asked in asked} == {1}
        assert len(asked) >= 58

    play(HomeServer(0.2, 0.15, reuses=True, noise=0.05), scene, caches=caches, chunk_s=3600)


def test_where_it_keeps_them_a_chunk_that_is_full_is_followed_without_a_stall():
    async def scene(h: Home) -> None:
        await asyncio.sleep(300)
        assert max(asked.read for asked in h.server.asked) <= 4
        assert max(h.ages(since=5)) <= 1.3
        assert len(h.decisions()) >= 290

    play(HomeServer(0.2, 0.2, reuses=True), scene, context_tokens=8000)


def test_the_past_is_told_in_words():
    async def scene(h: Home) -> None:
        said: list[float] = []

        def answer(asked: Asked) -> str:
            if said or asked.at < 40:
                return SILENT
            said.append(asked.at)
            return speaks("A man comes in.")

        h.server.answer = answer
        await asyncio.sleep(100)
        told = h.server.asked[-1].text
        assert "[Video History]" in told
        assert "A man comes in." in told
        assert "The picture changed" in told
        assert max(asked.pictures for asked in h.server.asked[10:]) <= 2
        # The newest picture stands last, under its own time.
        assert h.server.asked[-1].newest.strip().endswith("seconds>")

    play(HomeServer(0.3, 0.25), scene)


def test_seconds_of_a_slow_decision_are_not_kept_as_a_backlog():
    """Each would be one more picture to read."""

    async def scene(h: Home) -> None:
        await asyncio.sleep(60)
        assert {asked.pictures for asked in h.server.asked[4:]} == {1}
        skipped = [t["skipped"] for t in h.session.ticks() if t["skipped"] is not None]
        assert set(skipped) == {"busy"}

    play(HomeServer(0.3, 2.0), scene)


def test_a_first_request_that_loads_the_model_says_nothing_about_pictures():
    async def scene(h: Home) -> None:
        h.server.extra = lambda at: 9.0 if at < 2 else 0.0
        await asyncio.sleep(60)
        assert p95(h.ages(since=20)) <= 1.0
        assert sorted(asked.pictures for asked in h.server.asked if asked.at > 25)[10] >= 5

    play(HomeServer(0.3, 0.1), scene)


def test_a_picture_that_takes_longer_than_the_timeout_is_found_out_too():
    async def scene(h: Home) -> None:
        await asyncio.sleep(200)
        assert [asked.pictures for asked in h.server.asked][-8:] == [1] * 8
        assert max(h.ages(since=100)) <= 9.0

    play(HomeServer(0.3, 8.0), scene)


def test_after_a_restart_of_the_engine_it_is_learnt_anew():
    async def scene(h: Home) -> None:
        await asyncio.sleep(40)
        assert h.server.asked[-1].pictures == 2
        h.server.reuses = True
        h.registry.engines.monitor("openai").scheduler.restarted()
        await asyncio.sleep(40)
        assert h.server.asked[-1].pictures > 20

    play(HomeServer(0.3, 0.25), scene)
