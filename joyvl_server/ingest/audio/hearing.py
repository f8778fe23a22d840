"""Listens to one source in a worker: a thread of its own takes the decoded frames, as long as main wants to know."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from av.audio.frame import AudioFrame

from joyvl_server.core.errors import ConfigError
from joyvl_server.ingest.audio.analyser import LONGEST_FILL_S, SoundAnalyser
from joyvl_server.ingest.audio.base import LISTEN_RATE, AudioEvent, ListenSpec
from joyvl_server.ingest.audio.vad import load_vad
from joyvl_server.kit.audio.pcm import Samples
from joyvl_server.kit.audio.resampler import Resampler

log = logging.getLogger(__name__)

MOST_WAITING = 150
"""Frames that may wait to be analysed, some three seconds; then the oldest are dropped, and their time is a gap."""
LOCKSTEP_WAIT_S = 20.0
"""So long a file without a clock waits for place among them."""


class SoundReporter(Protocol):
    """Tells main, from any thread. `generation`: as `listen` was given it."""

    def tell(self, event: AudioEvent, generation: int = 0) -> None: ...

    def hears(self, hears: bool, error: str | None = None) -> None: ...


class SoundCleaner(Protocol):
    """Takes out what does not belong to the source, as the echo of what we play."""

    @property
    def remains(self) -> bool:
        """May something be left of it in what was cleaned last?"""

    def clean(self, samples: Samples, t: float) -> Samples:
        """About as many samples as were given, at `LISTEN_RATE`; `t` in stream seconds. Called in one thread."""


@dataclass(frozen=True, slots=True)
class _Wish:
    spec: ListenSpec | None
    generation: int

    @property
    def anything(self) -> bool:
        return self.spec is not None and (self.spec.speech or self.spec.sounds)


@dataclass(frozen=True, slots=True)
class _Reached:
    t: float


@dataclass(frozen=True, slots=True)
class _BrokeOff:
    lost: bool


_Item = tuple[AudioFrame, float] | _Reached | _BrokeOff


class Hearing:
    """Any thread may call its methods. It costs nothing while nobody listens.

    `live`: frames come as time goes by, so that a second without any means that the sound has broken off.
    """

    def __init__(self, reporter: SoundReporter, *, live: bool) -> None:
        self.canceller: SoundCleaner | None = None
        self.dropped = 0
        """frames that the machine was too slow for"""
        self._reporter = reporter
        self._live = live
        self._changed = threading.Condition()
        self._items: deque[_Item] = deque()
        self._busy = False
        self._wish = _Wish(None, 0)
        self._thread: threading.Thread | None = None
        self._present: tuple[bool, str | None, str | None] = (False, None, None)
        """has it sound; what is wrong with that; what is wrong with our listening"""

    @property
    def wanted(self) -> bool:
        """Does anybody listen? Else nothing need be decoded."""
        return self._wish.anything

    def listen(self, spec: ListenSpec | None, generation: int) -> None:
        """From now on. Returns at once; a VAD is loaded in the thread."""
        with self._changed:
            self._wish = _Wish(spec, generation)
            if self._thread is None and self._wish.anything:
                self._items.clear()
                self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if spec is None or not spec.speech:
            self._set_listening(None)

    def present(self, hears: bool, error: str | None = None) -> None:
        """The source has sound, or has none; `error`: a sentence about sound that cannot be used."""
        with self._changed:
            self._set_present(hears, error, self._present[2])

    def feed(self, frame: AudioFrame, t: float, *, wait: bool = False) -> None:
        """The next frame; `t` of its first sample. `wait`: block until there is place for it."""
        with self._changed:
            if self._thread is None:
                return
            if wait:
                self._changed.wait_for(lambda: len(self._items) < MOST_WAITING, LOCKSTEP_WAIT_S)
            elif len(self._items) >= MOST_WAITING:
                self._drop_oldest()
            self._put((frame, t))

    def reached(self, t: float) -> None:
        """The picture is at `t` (for files, whose sound may end before)."""
        with self._changed:
            if self._thread is not None and not (self._items and isinstance(self._items[-1], _Reached)):
                self._put(_Reached(t))

    def broke_off(self, *, lost: bool) -> None:
        """The sound is over, or the source is."""
        with self._changed:
            if self._thread is not None and len(self._items) < 2 * MOST_WAITING:
                self._put(_BrokeOff(lost))

    def flush(self, timeout_s: float) -> bool:
        """Block until all that was fed is analysed. False: it was not within that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None or not (self._items or self._busy), timeout_s)

    def close(self) -> None:
        """Nobody listens any more. Its thread ends by itself, soon."""
        with self._changed:
            self._wish = _Wish(None, self._wish.generation)
            self._changed.notify_all()

    def _put(self, item: _Item) -> None:
        self._items.append(item)
        self._changed.notify_all()

    def _drop_oldest(self) -> None:
        for index, item in enumerate(self._items):
            if isinstance(item, tuple):
                del self._items[index]
                self.dropped += 1
                return

    def _set_present(self, hears: bool, error: str | None, listening: str | None) -> None:
        if self._present != (hears, error, listening):
            self._present = (hears, error, listening)
            self._reporter.hears(hears, listening or error)

    def _set_listening(self, error: str | None) -> None:
        with self._changed:
            self._set_present(*self._present[:2], error)

    # --------------------------------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        wish: _Wish | None = None
        analyser: SoundAnalyser | None = None
        resampler = Resampler(LISTEN_RATE)
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                starving = self._live and analyser is not None and analyser.speaking
                came = self._await(wish, LONGEST_FILL_S if starving else None)
                if not self._wish.anything:
                    self._thread = None
                    self._items.clear()
                    self._changed.notify_all()
                    return
                self._busy = True
                changed, wish = self._wish is not wish, self._wish
                items, self._items = self._items, deque()
                self._changed.notify_all()
            if changed or analyser is None:
                analyser = self._analyser(wish)
            if not came:
                analyser.break_off(lost=True)
            for item in items:
                self._guarded(analyser, resampler, item)

    def _await(self, wish: _Wish | None, timeout_s: float | None) -> bool:
        """Until there is something to do. False: nothing came."""
        return self._changed.wait_for(lambda: bool(self._items) or self._wish is not wish, timeout_s)

    def _analyser(self, wish: _Wish) -> SoundAnalyser:
        assert wish.spec is not None
        vad, error = None, None
        if wish.spec.speech:
            try:
                vad = load_vad(wish.spec.vad)
            except ConfigError as failure:
                error = f"Speech is not heard. {failure}"
        self._set_listening(error)
        return SoundAnalyser(
            wish.spec, vad, f"{wish.generation}.", lambda event: self._reporter.tell(event, wish.generation)
        )

    def _guarded(self, analyser: SoundAnalyser, resampler: Resampler, item: _Item) -> None:
        try:
            self._hear(analyser, resampler, item)
        except Exception:  # the supervisor of this source's sound: a VAD of somebody else must not end the rest
            log.exception("the sound of a source could not be analysed")
            analyser.give_up_part()
            self._set_listening("The sound of this source could not be analysed. The server's log says more.")

    def _hear(self, analyser: SoundAnalyser, resampler: Resampler, item: _Item) -> None:
        if isinstance(item, _Reached):
            analyser.reached(item.t)
        elif isinstance(item, _BrokeOff):
            resampler.flush()
            analyser.break_off(lost=item.lost)
        else:
            frame, t = item
            samples = resampler.feed(frame)
            if self.canceller is not None and len(samples):
                samples = self.canceller.clean(samples, t)
                analyser.doubtful = self.canceller.remains
            analyser.feed(samples, t)
