"""A camera whose session breaks: taken up again with growing pauses, shown, told once; never after the shutdown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fakes.media.media import picture
from fakes.server.house import URL, House, QuietSession, house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError, JoyvlError


@pytest.fixture
async def h(tmp_path: Path):
    async with house(tmp_path) as opened:
        yield opened


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What every score raises; with an empty list all is well."""
    errors: list[BaseException] = []

    async def score(self) -> Score:
        if errors:
            raise errors[0]
        return Score(0.0)

    monkeypatch.setattr(QuietSession, "score", score)
    return errors


async def live(h: House, seconds: float, step: float = 0.5) -> None:
    """Every source has a fresh picture while the time passes."""
    passed = 0.0
    while passed < seconds:
        for source in h.media.sources.values():
            if not source.closed:
                source.show(picture(source.now))
        await h.clock.advance(step)
        await stored(h)
        passed += step


async def stored(h: House) -> None:
    """What a step asked of the store, in threads of its own, is done, and what followed from that too."""
    for _ in range(4):
        await h.registry.store.main.write(lambda c: None)
        await h.registry.store.main.read(lambda c: None)
        await h.clock.settle()


async def until_down(h: House, camera: dict) -> None:
    for _ in range(40):
        await live(h, 0.5)
        if (await state(h, camera))["retry_in_s"]:
            return
    raise AssertionError("it never broke")


async def until_online(h: House, camera: dict) -> None:
    for _ in range(200):
        await live(h, 0.5)
        if (await state(h, camera))["status"] == "online":
            return
    raise AssertionError("it never came back")


async def state(h: House, camera: dict) -> dict:
    return (await h.client.get(f"/v1/cameras/{camera['id']}")).json()["state"]


async def events(h: House, type: str) -> list[dict]:
    await h.registry.store.main.read(lambda c: None)
    return (await h.client.get(f"/v1/events?type={type}")).json()["data"]


@pytest.mark.parametrize(
    ("error", "code"), [(ZeroDivisionError("odd"), "crashed"), (JoyvlError("The moon is full.", code="moon"), "moon")]
)
async def test_a_session_that_always_breaks_is_tried_ever_less_often_and_told_once(h, broken, error, code) -> None:
    broken.append(error)
    camera = await h.camera()
    with capture_logs() as logs:
        await live(h, 18.0)
        await until_down(h, camera)
        shown = await state(h, camera)
        assert (shown["status"], shown["error_code"]) == ("offline", code)
        assert shown["retry_in_s"] > 0
        assert shown["attempts"] > 2
        assert "odd" not in shown["error"]
        assert "ZeroDivisionError" not in shown["error"]
        opened = len(h.media.opened)
        assert opened <= 6  # at 0, 1, 3, 7, 15 seconds, and the moment that each takes to break
        await live(h, 280.0)
        assert 2 <= len(h.media.opened) - opened <= 7
    told = [entry for entry in logs if entry["log_level"] == "error"]
    assert [entry["event"] for entry in told] == ["camera is not watched"]
    assert len([e for e in await events(h, "camera_offline") if e["data"]["state"]["error_code"] == code]) == 1


async def test_one_that_is_well_again_says_so_and_its_next_fault_counts_as_the_first(h: House, broken) -> None:
    broken.append(ZeroDivisionError("odd"))
    camera = await h.camera()
    await live(h, 30.0)
    broken.clear()
    with capture_logs() as logs:
        await live(h, 120.0)
        assert (await state(h, camera))["status"] == "online"
        assert [entry["event"] for entry in logs].count("camera is watched again") == 1
        broken.append(ZeroDivisionError("odd"))
        await live(h, 1.0)
        assert (await state(h, camera))["retry_in_s"] <= 1.0
        assert [entry["event"] for entry in logs].count("camera is not watched") == 1


async def test_one_broken_camera_hurts_no_other(h: House, broken) -> None:
    other = await h.camera("other", enabled=False)
    broken.append(ZeroDivisionError("odd"))
    await h.camera()
    await live(h, 5.0)
    broken.clear()
    await h.client.post(f"/v1/cameras/{other['id']}/enable")
    await live(h, 3.0)
    assert (await state(h, other))["status"] == "online"


async def test_a_camera_that_waits_keeps_its_place(tmp_path: Path, broken) -> None:
    async with house(tmp_path, sessions={"max_sessions": 1}) as h:
        broken.append(ZeroDivisionError("odd"))
        camera = await h.camera()
        await live(h, 10.0)
        await until_down(h, camera)
        assert (await h.client.post("/v1/cameras", json={"name": "two", "url": URL})).status_code == 409
        broken.clear()
        await until_online(h, camera)


@pytest.mark.parametrize("change", [{"name": "new"}, {"url": URL + "/x"}, {"enabled": True}])
async def test_a_change_takes_it_up_at_once(h: House, broken, change) -> None:
    broken.append(ZeroDivisionError("odd"))
    camera = await h.camera()
    await live(h, 40.0)
    broken.clear()
    assert (await h.client.patch(f"/v1/cameras/{camera['id']}", json=change)).status_code == 200
    await live(h, 1.0)
    assert (await state(h, camera))["status"] == "online"


async def test_disabling_and_deleting_end_the_waiting(h: House, broken) -> None:
    broken.append(ZeroDivisionError("odd"))
    one, two = await h.camera("one"), await h.camera("two")
    await live(h, 10.0)
    await h.client.post(f"/v1/cameras/{one['id']}/disable")
    await h.client.delete(f"/v1/cameras/{two['id']}")
    opened = len(h.media.opened)
    await live(h, 130.0)
    assert len(h.media.opened) == opened
    assert await state(h, one) is None


async def test_what_can_never_work_stays_and_says_so_until_it_is_changed(tmp_path: Path, monkeypatch) -> None:
    async with house(tmp_path) as h:
        camera = await h.camera()
    installed = False

    def get(self, name: str):
        if not installed:
            raise ConfigError(f"There is no engine “{name}”.")
        return self.quiet

    monkeypatch.setattr("fakes.server.house.OneEngine.get", get)
    async with house(tmp_path) as h:
        await live(h, 200.0)
        assert h.media.opened == []
        shown = await state(h, camera)
        assert (shown["status"], shown["error_code"], shown["retry_in_s"]) == ("offline", "config", None)
        assert "no engine" in shown["error"]
        answer = await h.client.get(f"/v1/cameras/{camera['id']}/snapshot.jpg")
        assert (answer.status_code, "no engine" in answer.json()["detail"]) == (503, True)
        # A change that has nothing to do with it is taken.
        assert (await h.client.patch(f"/v1/cameras/{camera['id']}", json={"name": "new"})).status_code == 200
        assert (await state(h, camera))["error_code"] == "config"
        installed = True
        assert (await h.client.post(f"/v1/cameras/{camera['id']}/enable")).status_code == 200
        await live(h, 2.0)
        assert (await state(h, camera))["status"] == "online"


async def test_nothing_is_reopened_after_the_shutdown_and_no_task_is_left(tmp_path: Path, broken) -> None:
    before = asyncio.all_tasks()
    async with house(tmp_path) as h:
        broken.append(ZeroDivisionError("odd"))
        camera = await h.camera()
        await live(h, 10.0)
        await until_down(h, camera)
        opened = len(h.media.opened)
    await h.clock.advance(200.0)
    assert len(h.media.opened) == opened
    assert asyncio.all_tasks() == before


async def test_a_session_that_breaks_while_it_is_stopped_is_not_begun_again(h: House, monkeypatch) -> None:
    camera = await h.camera()
    session = h.session(camera)
    real = session.aclose

    async def failing() -> None:
        await real()
        raise ZeroDivisionError("odd")

    monkeypatch.setattr(session, "aclose", failing)
    await live(h, 1.0)
    assert (await h.client.post(f"/v1/cameras/{camera['id']}/disable")).status_code == 200
    await live(h, 5.0)
    assert h.registry.sessions() == []
    assert await state(h, camera) is None
