"""Sounds that watches fire at. The server says itself what it heard: no engine is asked, so it works with each."""

from __future__ import annotations

from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Decision, Suppressed, Urgency
from joyvl_server.core.effects import Decided, Effect, UtteranceDelta, UtteranceDone
from joyvl_server.core.inputs import SoundHeard
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.turns import Look
from joyvl_server.core.watches.kinds import SOUNDS, WatchKind

MOST = 256
"""watches and kinds that are remembered"""


class SoundWatches:
    """A watch that fired at a kind does not fire at it again within the cooldown, nor within the time in which the same
    words are a repetition."""

    def __init__(self, composer: PromptComposer, utterances: Utterances) -> None:
        self._composer = composer
        self._utterances = utterances
        self._fired: dict[tuple[str, WatchKind], float] = {}

    def heard(self, sound: SoundHeard, step: int, config: ObserverConfig) -> list[Effect]:
        """The watches that name it fire, whatever their zones and thresholds; nothing where none does. `step`: its
        number."""
        watches = [watch.id for watch in self._composer.watch_set.active if sound.kind in watch.kinds]
        if not watches or sound.kind not in SOUNDS:
            return []
        pause_s = max(config.cooldown_s, config.duplicate_window_s)
        fresh = tuple(id for id in watches if not self._lately(id, sound, pause_s))
        if not fresh:
            return [self._decided(sound, step, Decision.SILENT, watches=(), suppressed=Suppressed.COOLDOWN)]
        for id in fresh:
            self._fired.pop((id, sound.kind), None)
            self._fired[id, sound.kind] = sound.t
        while len(self._fired) > MOST:
            del self._fired[next(iter(self._fired))]
        text, epoch = SOUNDS[sound.kind], self._utterances.begin()
        self._utterances.write(epoch, text)
        self._composer.reported(text)
        if not config.voice:
            self._composer.said(sound.t, text, fresh)
        return [
            UtteranceDelta(epoch, text),
            UtteranceDone(epoch, sound.t, sound.wall, text, Urgency.ALERT),
            self._decided(sound, step, Decision.SPEAK, watches=fresh, text=text, epoch=epoch),
        ]

    def _lately(self, watch: str, sound: SoundHeard, pause_s: float) -> bool:
        fired = self._fired.get((watch, sound.kind))
        return fired is not None and 0 <= sound.t - fired < pause_s

    def _decided(
        self,
        sound: SoundHeard,
        step: int,
        decision: Decision,
        *,
        watches: tuple[str, ...],
        suppressed: Suppressed | None = None,
        text: str = "",
        epoch: int | None = None,
    ) -> Decided:
        return Decided(
            step,
            sound.t,
            sound.wall,
            decision,
            Look.SKIP,
            suppressed=suppressed,
            score=1.0,
            kind=sound.kind.value,
            text=text,
            epoch=epoch,
            watches=watches,
        )
