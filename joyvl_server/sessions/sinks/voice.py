"""Has the utterances of a session spoken, when and as far as its machine wants it."""

from __future__ import annotations

from joyvl_server.core.effects import (
    CutPlayback,
    HoldPlayback,
    Play,
    PlaybackCut,
    ResumePlayback,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.sessions.sinks.base import SinkContext
from joyvl_server.sessions.sinks.messages import Message


class VoiceSink:
    """Never waits: the speaker has a task of its own."""

    wants = (UtteranceDelta, UtteranceDone, Play, HoldPlayback, ResumePlayback, CutPlayback, PlaybackCut)

    def __init__(self, context: SinkContext) -> None:
        self._speaker = context.speaker

    def take(self, message: Message) -> None:
        match message:
            case UtteranceDelta(epoch, text):
                self._speaker.write(epoch, text)
            case UtteranceDone(epoch):
                self._speaker.end(epoch)
            case Play(epoch):
                self._speaker.play(epoch)
            case HoldPlayback(epoch):
                self._speaker.hold(epoch)
            case ResumePlayback(epoch):
                self._speaker.resume(epoch)
            case CutPlayback(epoch) | PlaybackCut(epoch):
                self._speaker.cut(epoch)
