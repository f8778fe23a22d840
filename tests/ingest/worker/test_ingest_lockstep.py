"""Files that advance only as far as they are asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.media.told import Told
from fakes.media.video import draw_clip
from joyvl_server.core.errors import NoFrame
from joyvl_server.ingest.audio.hearing import Hearing
from joyvl_server.ingest.audio.source_sound import SoundTeller
from joyvl_server.ingest.base import PullSpec
from joyvl_server.ingest.worker.deadlines import Timeouts
from joyvl_server.ingest.worker.grey_history import GreyHistory
from joyvl_server.ingest.worker.lockstep import LockstepFile
from joyvl_server.ingest.worker.publisher import FramePublisher
from joyvl_server.kit.net.policy import NetPolicy


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_clip(tmp_path_factory.mktemp("clips") / "a.mp4", fps=10, seconds=2.0, bframes=2)


def opened(path: Path, *, loop: bool = False, told: Told | None = None) -> LockstepFile:
    policy = NetPolicy(file_roots=(str(path.parent),))
    spec = PullSpec(path.as_uri(), loop=loop, lockstep=True)
    publisher = FramePublisher(Told() if told is None else told, GreyHistory(192))
    return LockstepFile(spec, policy, Timeouts(5, 5), publisher, Hearing(SoundTeller(Told()), live=False))


def test_it_returns_the_last_frame_up_to_the_moment_asked_for(clip: Path) -> None:
    told = Told()
    source = opened(clip, told=told)
    asked = (None, 0.0, 0.05, 0.1, 0.95, 0.95, 0.4, 1.99)
    assert [round(source.advance(at).t, 3) for at in asked] == [0.0, 0.0, 0.0, 0.1, 0.9, 0.9, 0.9, 1.9]
    assert told.statuses == ["online"]
    assert source.close(1.0)


def test_after_its_end_it_has_ended(clip: Path) -> None:
    told = Told()
    source = opened(clip, told=told)
    assert source.advance(1.95).t == pytest.approx(1.9)
    for _ in range(2):
        with pytest.raises(NoFrame) as caught:
            source.advance(2.01)
        assert caught.value.code == "ended"
    assert told.statuses == ["online", "ended"]
    source.close(1.0)


def test_wall_time_runs_at_the_same_pace(clip: Path) -> None:
    source = opened(clip)
    first, later = source.advance(0.0), source.advance(1.0)
    assert later.wall - first.wall == pytest.approx(1.0)
    source.close(1.0)


def test_a_loop_never_ends(clip: Path) -> None:
    source = opened(clip, loop=True)
    assert [round(source.advance(at).t, 3) for at in (1.9, 2.0, 2.05, 11.37)] == [1.9, 2.0, 2.0, 11.3]
    source.close(1.0)


def test_a_missing_file_is_offline_until_it_is_there(tmp_path: Path, clip: Path) -> None:
    told = Told()
    path = tmp_path / "later.mp4"
    source = opened(path, told=told)
    with pytest.raises(NoFrame) as caught:
        source.advance(0.0)
    assert caught.value.code == "offline"
    assert told.codes == ["not_found"]
    path.write_bytes(clip.read_bytes())
    assert source.advance(0.5).t == pytest.approx(0.5)
    source.close(1.0)


def test_a_file_cut_off_ends_where_it_was_cut(tmp_path: Path) -> None:
    path = draw_clip(tmp_path / "a.mkv", fps=10, seconds=4.0, gop=5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = opened(path)
    last = source.advance(1.0).t
    with pytest.raises(NoFrame) as caught:
        source.advance(3.9)
    assert last == pytest.approx(1.0)
    assert caught.value.code == "ended"
    source.close(1.0)


def test_closed_it_gives_nothing(clip: Path) -> None:
    source = opened(clip)
    source.advance(0.0)
    assert source.close(1.0)
    assert source.close(1.0)
    with pytest.raises(NoFrame):
        source.advance(0.5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0.0, 1.99), min_size=1, max_size=12))
def test_whatever_is_asked_it_never_runs_ahead_or_back(clip: Path, asked: list[float]) -> None:
    source = opened(clip)
    reached = 0.0
    for at in asked:
        reached = max(reached, at)
        assert reached - 0.1 - 1e-6 < source.advance(at).t <= reached
    source.close(1.0)
