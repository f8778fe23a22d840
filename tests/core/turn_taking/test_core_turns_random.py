"""Whatever is said, heard, reported and lost, in whatever order: turn taking keeps its promises."""

from hypothesis import given

from fakes.logs import logs, many
from joyvl_server.core.decisions import Skip, Urgency
from joyvl_server.core.effects import (
    CutPlayback,
    HoldPlayback,
    Play,
    PlaybackCut,
    ResumePlayback,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.core.inputs import (
    ConfigChanged,
    PlaybackEnded,
    SpeechContinued,
    SpeechStarted,
    TickSkipped,
    Transcript,
)
from joyvl_server.core.turn_taking.playback import GRACE_S, START_S, speaking_s
from joyvl_server.core.turn_taking.user_speech import MOST_S, WORDS_S
from joyvl_server.core.turn_taking.words import is_stop


@many
@given(logs(max_size=120))
def test_one_plays_at_a_time_and_what_was_cut_stays_silent(log) -> None:
    playing: int | None = None
    held = False
    over: set[int] = set()
    for input, effects in log.steps:
        if isinstance(input, PlaybackEnded) and input.epoch == playing:
            over.add(playing)
            playing, held = None, False
        for effect in effects:
            match effect:
                case Play(epoch):
                    assert playing is None
                    assert epoch not in over
                    playing = epoch
                case HoldPlayback(epoch):
                    assert epoch == playing
                    assert not held
                    held = True
                case ResumePlayback(epoch):
                    assert epoch == playing
                    assert held
                    held = False
                case CutPlayback(epoch):
                    assert epoch == playing
                    over.add(epoch)
                    playing, held = None, False
                case PlaybackCut(epoch):
                    assert epoch != playing
                    over.add(epoch)


@many
@given(logs(max_size=120))
def test_nothing_is_played_without_a_voice(log) -> None:
    voice = log.config.voice
    for input, effects in log.steps:
        silent = isinstance(input, ConfigChanged) and not input.config.voice
        voice = input.config.voice if isinstance(input, ConfigChanged) else voice
        played = [e for e in effects if isinstance(e, Play | HoldPlayback | ResumePlayback | CutPlayback | PlaybackCut)]
        assert voice or not played or (silent and [type(e) for e in played] == [CutPlayback])


@many
@given(logs(max_size=120))
def test_alerts_are_played_and_nothing_less_urgent_cuts_them(log) -> None:
    """An alert leaves the queue by being played; it is cut by words and by silence of the playback, not by others."""
    texts: dict[int, str] = {}
    alerts: set[int] = set()
    begun: dict[int, float] = {}
    for input, effects in log.steps:
        for effect in effects:
            match effect:
                case UtteranceDelta(epoch, text):
                    texts[epoch] = texts.get(epoch, "") + text
                case UtteranceDone(epoch=epoch, urgency=Urgency.ALERT):
                    alerts.add(epoch)
                case Play(epoch):
                    begun[epoch] = input.at
                case PlaybackCut(epoch, _, heard):
                    assert heard in texts[epoch]
        cut = {effect.epoch for effect in effects if isinstance(effect, CutPlayback | PlaybackCut)} & alerts
        assert cut <= set(begun)
        if cut and any(isinstance(effect, Play) for effect in effects):
            (epoch,) = cut
            heard = [effect.heard for effect in effects if isinstance(effect, PlaybackCut) and effect.epoch == epoch]
            stopped = isinstance(input, Transcript) and is_stop(input.text)
            # words or lost reports, not the next one
            assert stopped or (heard[0] if heard else input.at - begun[epoch] >= START_S)


@many
@given(logs(max_size=120))
def test_nothing_is_held_while_nobody_has_the_floor(log) -> None:
    """Held output always waits for somebody: each hold follows speech that began or went on, and a pause that was told
    leaves nothing held but for others who speak."""
    for input, effects in log.steps:
        if any(isinstance(effect, HoldPlayback) for effect in effects):
            assert isinstance(input, SpeechStarted | SpeechContinued)
    voice = log.observer._voice
    assert not voice._playback.held or voice._speech.floor


@many
@given(logs(max_size=80))
def test_nothing_plays_or_waits_for_ever(log) -> None:
    observer = log.observer
    if observer.state != 0:
        return  # it is still being written
    at = log.steps[-1][0].at
    longest = sum(speaking_s(text) for text in observer._utterances._texts.values())
    for seconds in (MOST_S, WORDS_S, *[START_S + GRACE_S + longest] * 40):
        at += seconds
        observer.handle(TickSkipped(at, at, Skip.OFFLINE))
    assert not observer.playing
    assert not observer._voice._playback.pending
