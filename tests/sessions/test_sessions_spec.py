"""A session's own settings: what they replace, how a camera's row keeps them."""

import json
from dataclasses import replace

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from fakes.media.media import picture
from fakes.server.sessions import House
from joyvl_server.core.decisions import Score
from joyvl_server.core.watches.zones import Zone
from joyvl_server.sessions.cameras import Camera, CameraDraft
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.settings import SessionSettings

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0)))
DRAFT = CameraDraft("door", "rtsp://192.168.1.20/1", spec=SessionSpec(threshold=0.7, zones=(DOOR,)))


def row(text: str) -> Camera:
    return Camera.read(replace(DRAFT.camera(1.0).record, spec=text))


def test_what_is_not_set_is_the_servers():
    settings = SessionSettings(threshold=0.3, fidelity="eco")
    assert SessionSpec().resolved(settings) == settings
    resolved = SessionSpec(threshold=0.0, frames_per_tick=4).resolved(settings)
    assert (resolved.threshold, resolved.fidelity, resolved.frames_per_tick) == (0.0, "eco", 4)
    assert resolved.tick_s == settings.tick_s


def test_what_is_in_force_is_shown():
    settings = SessionSettings(threshold=0.3)
    spec = SessionSpec(fidelity="eco", zones=(DOOR,))
    shown = spec.shown(spec.resolved(settings))
    assert (shown["threshold"], shown["fidelity"], shown["engine"]) == (0.3, "eco", None)
    assert shown["zones"] == [{"name": "door", "points": [[0.0, 0.0], [0.3, 0.0], [0.3, 1.0]]}]


def test_a_spec_is_frozen_and_valid():
    with pytest.raises(ValidationError):
        SessionSpec(threshold=2.0)
    with pytest.raises(ValidationError):
        SessionSpec(zones=(DOOR, DOOR))
    with pytest.raises(ValidationError):
        SessionSpec().threshold = 0.5


def test_a_row_gives_back_what_was_kept():
    camera = DRAFT.camera(1.0)
    assert json.loads(camera.record.spec).keys() == {"threshold", "zones"}
    assert Camera.read(camera.record) == camera


def test_a_change_is_kept_and_null_is_the_servers_again():
    camera = DRAFT.camera(1.0).changed({"threshold": None, "fidelity": "eco", "name": "gate"}, 2.0)
    assert (camera.record.name, camera.record.updated_wall, camera.spec.threshold) == ("gate", 2.0, None)
    assert Camera.read(camera.record) == camera


def test_what_a_newer_server_has_written_is_kept():
    with capture_logs() as logs:
        camera = row('{"threshold": 0.7, "scent": {"name": "rose"}}')
    assert camera.spec == SessionSpec(threshold=0.7)
    (told,) = logs
    assert (told["log_level"], told["settings"]) == ("warning", ["scent"])
    changed = camera.changed({"fidelity": "eco"}, 2.0)
    assert json.loads(changed.record.spec) == {"threshold": 0.7, "fidelity": "eco", "scent": {"name": "rose"}}
    assert camera.changed({"name": "gate"}, 2.0).record.spec == camera.record.spec


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", "3", '{"threshold": 0.7', "[" * 5000, "\x00", '{"threshold": 0.7}}']
)
def test_a_damaged_row_is_told_and_counts_as_not_set(text):
    with capture_logs() as logs:
        camera = row(text)
    assert camera.spec == SessionSpec()
    assert [told["log_level"] for told in logs] == ["error"]
    assert json.loads(camera.changed({"threshold": 0.5}, 2.0).record.spec) == {"threshold": 0.5}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", "much"),
        ("threshold", 7),
        ("threshold", [0.5]),
        ("fidelity", "splendid"),
        ("frames_per_tick", 3),
        ("zones", [{"name": "x"}]),
        ("zones", [{"name": "x", "points": [[0, 0], [1, 0], [1, 1]]}] * 2),
        ("zones", "[["),
    ],
)
def test_one_damaged_setting_takes_no_other_with_it(name, value):
    with capture_logs() as logs:
        camera = row(json.dumps({"engine": "motion", name: value}))
    assert camera.spec == SessionSpec(engine="motion")
    (told,) = logs
    assert (told["log_level"], list(told["errors"])) == ("error", [name])
    assert json.loads(camera.changed({"engine": None}, 2.0).record.spec) == {name: value}
    wanted = {"zones": ()}.get(name)
    assert name not in json.loads(camera.changed({name: wanted}, 2.0).record.spec)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        (r'{"engine": "\ud800", "threshold": 0.7}', ["engine", "threshold"]),  # half of a pair
        ('{"threshold": Infinity}', ["threshold"]),
        (r'{"zones": [{"name": "\ud800", "points": []}]}', ["zones"]),
        ('{"threshold": ' + "[" * 300 + "]" * 300 + "}", ["threshold"]),
    ],
)
def test_a_row_that_means_nothing_to_the_model_counts_as_not_set(text, unread):
    with capture_logs() as logs:
        camera = row(text)
    assert camera.spec == SessionSpec()
    (told,) = logs
    assert (told["log_level"], sorted(told["errors"])) == ("error", unread)
    assert camera.unread == json.loads(text)
    assert camera.changed({"name": "gate"}, 2.0).record.spec == text


def test_only_a_change_of_the_source_or_of_the_engine_needs_a_new_session():
    camera = DRAFT.camera(1.0)
    for changes in ({"name": "gate"}, {"threshold": 0.1, "fidelity": "eco", "frames_per_tick": 2, "zones": ()}):
        assert not camera.changed(changes, 2.0).reopens(camera)
    for changes in ({"engine": "motion"}, {"url": "rtsp://192.168.1.21/1"}, {"loop": True}, {"enabled": False}):
        assert camera.changed(changes, 2.0).reopens(camera)


async def test_a_session_has_its_own_cooldown_and_it_is_changed_live(house: House):
    house.engine.script = lambda turn: (Score(0.9 if turn.step % 2 else 0.1, "enter"), [f"Number {turn.step}."])
    spec = SessionSpec(cooldown_s=3600.0)
    view = await house.registry.cameras.add(replace(DRAFT, spec=spec))
    session, source = house.registry.session(view.record.session_id), house.media.sources[view.record.id]

    async def remarks() -> list[str]:
        """What is said and what is not, in ten seconds."""
        first = len(session.ticks())
        for _ in range(40):
            source.show(picture(source.now))
            await house.clock.advance(0.25)
        return [tick["suppressed"] or tick["decision"] for tick in session.ticks()[first:] if tick["score"] > 0.5]

    said = await remarks()
    assert said[0] == "speak"
    assert set(said[1:]) == {"cooldown"}
    await house.registry.change_session(session.id, {"cooldown_s": 0.0})
    assert set(await remarks()) == {"speak"}
    await house.registry.change_session(session.id, {"cooldown_s": 3600.0})
    assert set(await remarks()) == {"cooldown"}
    assert session is house.registry.session(session.id)
