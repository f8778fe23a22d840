"""The sound of a source as main sees it, over a worker that is played by the test."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from fakes.media.audio import Heard, silence
from joyvl_server.ingest.audio.base import (
    ListenSpec,
    PlayoutReport,
    SoundDetected,
    SoundPresence,
    SourceAudio,
    SpeechAudio,
    SpeechBegan,
    SpeechContinues,
    SpeechEnded,
    SpeechLasts,
    SpeechPauses,
)
from joyvl_server.ingest.audio.messages import hears_message, plays_message, to_message
from joyvl_server.ingest.audio.remote import PLAYOUT_BUFFER_S, RemoteAudio
from joyvl_server.kit.audio.pcm import Pcm


class Scene:
    """`asked`: what the worker was asked. The source's clock says `now`."""

    id = "cam"

    def __init__(self) -> None:
        self.now = 7.0
        self.asked: list[dict[str, Any]] = []
        self.heard = Heard()
        self.audio = RemoteAudio(self, self)

    def ask(self, op: str, **fields: Any) -> asyncio.Future[dict[str, Any]]:
        self.asked.append({"op": op, **fields})
        return asyncio.get_running_loop().create_future()

    @property
    def generation(self) -> int:
        return self.asked[-1]["generation"]

    def tells(self, event: Any, generation: int = 1) -> None:
        self.audio.apply({"event": "audio", "source": "cam", **to_message(event), "generation": generation})

    def connects(self) -> None:
        self.audio.apply(plays_message(True))

    @property
    def ops(self) -> list[str]:
        return [message["op"] for message in self.asked]


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_it_is_the_sound_of_a_source(scene: Scene) -> None:
    audio: SourceAudio = scene.audio
    assert not audio.hears
    assert not audio.plays


async def test_every_event_arrives_as_it_was_told(scene: Scene) -> None:
    scene.audio.listen(ListenSpec(speech=True, sounds=True), scene.heard)
    samples = np.arange(-300, 300, dtype=np.int16)
    events = [
        SpeechBegan("1.1", 3.25),
        SpeechAudio("1.1", Pcm(samples, 16_000)),
        SpeechPauses("1.1", 3.3),
        SpeechContinues("1.1", 3.4),
        SpeechLasts("1.1", 3.65),
        SpeechEnded("1.1", 5.5, 2.25),
        SoundDetected("smoke_alarm", 6.0, -21.5),
    ]
    for event in events:
        scene.tells(event)
    assert [event for event in scene.heard if not isinstance(event, SpeechAudio)] == [events[0], *events[2:]]
    (sound,) = scene.heard.of(SpeechAudio)
    assert np.array_equal(sound.audio.samples, samples)
    assert sound.audio.rate == 16_000


async def test_presence_is_told_at_each_change(scene: Scene) -> None:
    scene.audio.listen(ListenSpec(), scene.heard)
    scene.audio.apply(hears_message(True))
    scene.audio.apply(hears_message(True))
    scene.audio.apply(plays_message(True))
    scene.audio.apply(hears_message(True, "Install the extra."))
    assert scene.heard == [
        SoundPresence(True, False), SoundPresence(True, True), SoundPresence(True, True, "Install the extra.")
    ]  # fmt: skip
    assert scene.audio.hears
    assert scene.audio.plays


async def test_a_new_worker_is_told_what_is_wanted(scene: Scene) -> None:
    scene.audio.opened()
    assert scene.asked == []
    spec = ListenSpec(speech=True, wait_s=0.9)
    scene.audio.listen(spec, scene.heard)
    scene.tells(SpeechBegan("1.1", 6.0))
    scene.audio.worker_gone()
    assert scene.heard[-1] == SpeechEnded("1.1", 7.0, 1.0, lost=True)
    scene.audio.opened()
    assert scene.asked[-1] == {**scene.asked[0], "generation": scene.generation}
    assert scene.asked[-1]["spec"]["wait_s"] == 0.9
    scene.tells(SpeechBegan(f"{scene.generation}.1", 8.0), generation=scene.generation)
    scene.now = 8.5
    scene.audio.worker_gone()
    assert scene.heard[-1] == SpeechEnded("2.1", 8.5, 0.5, lost=True), "no id is used twice"


async def test_what_a_worker_tells_about_an_earlier_wish_is_thrown_away(scene: Scene) -> None:
    scene.audio.listen(ListenSpec(speech=True), scene.heard)
    scene.tells(SpeechBegan("1.1", 6.0))
    later = Heard()
    scene.audio.listen(ListenSpec(speech=True, wait_s=1.0), later)
    assert scene.heard[-1] == SpeechEnded("1.1", 7.0, 1.0, lost=True)
    scene.tells(SpeechEnded("1.1", 7.0, 1.0))
    scene.tells(SpeechBegan("1.2", 8.0))
    scene.tells(SpeechLasts("1.1", 8.0), generation=2)
    scene.tells(SpeechBegan("2.1", 9.0), generation=2)
    assert later == [SpeechBegan("2.1", 9.0)]
    scene.audio.listen(None, None)
    assert scene.asked[-1]["spec"] is None
    scene.tells(SpeechEnded("2.1", 9.0, 1.0), generation=2)


async def test_sound_to_play_goes_in_short_pieces_and_the_last_one_says_so(scene: Scene) -> None:
    scene.connects()
    scene.audio.play(4, silence(1.2, 24_000))
    scene.audio.play(4, silence(0.0, 24_000), last=True)
    plays = [message for message in scene.asked if message["op"] == "audio.play"]
    seconds = [Pcm.from_base64(message["audio"], message["rate"]).seconds for message in plays]
    assert seconds == pytest.approx([0.5, 0.5, 0.2, 0.0])
    assert [message["last"] for message in plays] == [False, False, False, True]
    assert scene.audio.free_s == pytest.approx(PLAYOUT_BUFFER_S - 1.2)


async def test_what_was_played_makes_place_for_more(scene: Scene) -> None:
    scene.audio.listen(ListenSpec(), scene.heard)
    scene.connects()
    scene.audio.play(1, silence(PLAYOUT_BUFFER_S))
    assert scene.audio.free_s == 0.0
    scene.tells(PlayoutReport(1, 5.0, "playing"), generation=0)
    assert scene.audio.free_s == 5.0
    scene.audio.play(1, silence(5.0), last=True)
    scene.tells(PlayoutReport(1, 25.0, "ended"), generation=0)
    scene.tells(PlayoutReport(1, 25.0, "ended"), generation=0)
    assert scene.heard[-2:] == [PlayoutReport(1, 5.0, "playing"), PlayoutReport(1, 25.0, "ended")]
    assert scene.audio.free_s == PLAYOUT_BUFFER_S


async def test_what_does_not_fit_fails_the_utterance(scene: Scene) -> None:
    scene.audio.listen(ListenSpec(), scene.heard)
    scene.connects()
    scene.audio.play(1, silence(PLAYOUT_BUFFER_S))
    scene.tells(PlayoutReport(1, 0.4, "playing"), generation=0)
    scene.audio.play(1, silence(1.0))
    await asyncio.sleep(0)
    assert scene.heard[-1] == PlayoutReport(1, 0.4, "failed")
    assert scene.ops[-1] == "audio.cut"
    scene.tells(PlayoutReport(1, 0.6, "cut"), generation=0)
    scene.audio.play(1, silence(1.0))
    assert scene.heard[-1] == PlayoutReport(1, 0.4, "failed")
    assert scene.ops[-1] == "audio.cut"


async def test_sound_of_an_old_epoch_or_one_that_was_cut_goes_nowhere(scene: Scene) -> None:
    scene.connects()
    scene.audio.play(5, silence(0.1))
    scene.audio.play(4, silence(0.1))
    scene.audio.cut(5)
    scene.audio.play(5, silence(0.1))
    scene.audio.cut(6)
    scene.audio.play(6, silence(0.1))
    scene.audio.hold(6)
    scene.audio.resume(6)
    scene.audio.play(7, silence(0.1))
    assert scene.ops == [
        "audio.play", "audio.cut", "audio.cut", "audio.hold", "audio.resume", "audio.play"
    ]  # fmt: skip


async def test_a_dead_worker_fails_what_it_played_and_who_cannot_be_played_to_too(scene: Scene) -> None:
    scene.audio.listen(ListenSpec(), scene.heard)
    scene.connects()
    scene.audio.play(1, silence(1.0))
    scene.audio.worker_gone()
    assert scene.heard[1:] == [PlayoutReport(1, 0.0, "failed"), SoundPresence(False, False)]
    scene.audio.play(2, silence(1.0))
    await asyncio.sleep(0)
    assert scene.heard[-1] == PlayoutReport(2, 0.0, "failed")


async def test_no_message_looks_like_an_answer() -> None:
    """The channel tells them apart by `id`."""
    audio = SpeechAudio("1.1", silence(0.1))
    for event in (SpeechBegan("1.1", 0.0), audio, SpeechEnded("1.1", 0.0, 0.0), PlayoutReport(1, 0.0, "ended")):
        assert "id" not in to_message(event)
