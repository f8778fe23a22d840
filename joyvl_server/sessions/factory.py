"""Opens sessions over sources: admission, engine, ticker, and the states of a source for its session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager

import structlog

from joyvl_server.core.errors import ConfigError, NotAllowed, StoreError
from joyvl_server.ingest.base import Source, SourceState, StateListener
from joyvl_server.sessions import endings
from joyvl_server.sessions.deps import SessionDeps
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.spec import SessionSpec
from joyvl_server.sessions.supervisor import SessionSupervisor
from joyvl_server.sessions.ticking.base import Ticker, phase
from joyvl_server.sessions.ticking.lockstep import LockstepTicker
from joyvl_server.sessions.ticking.requested import RequestedTicker
from joyvl_server.sessions.ticking.ticker import LiveTicker
from joyvl_server.sessions.watch_list import WatchDraft, watch_record
from joyvl_server.settings import SessionSettings
from joyvl_server.store.sessions import SessionRecord
from joyvl_server.store.watches import WatchRecord

log = structlog.get_logger(__name__)


class SessionFactory:
    """`default_engine`: the name of the engine of sessions that choose none."""

    def __init__(self, default_engine: str, deps: SessionDeps, supervisor: SessionSupervisor) -> None:
        self._default_engine = default_engine
        self._settings = deps.settings
        self._deps = deps
        self._engines = deps.engines
        self._supervisor = supervisor
        self._opened = 0
        self._coming = 0
        self.waiting: Sized = ()
        """cameras that wait for their session; they keep their places"""

    @contextmanager
    def admission(self, engine: str) -> Iterator[None]:
        """A place for one session more on that engine, kept while the block opens it.

        Raises `NotAllowed` (too_many, engine_full). What others are opening meanwhile counts as open.
        """
        limit = self._deps.settings.max_sessions
        if len(self._supervisor) + self._coming + len(self.waiting) >= limit:
            sentence = f"All {limit} sessions are in use (sessions.max_sessions); end one first."
            raise NotAllowed(sentence, code="too_many")
        scheduler = self._engines.monitor(engine).scheduler
        with scheduler.admit(self._settings.tick_s):
            self._coming += 1
            try:
                yield
            finally:
                self._coming -= 1

    def change_defaults(self, settings: SessionSettings, running: Iterable[Session]) -> None:
        """What sessions have where they choose nothing, of those to come and of those that run. Raises `ConfigError`
        for settings that cannot work: then nothing is changed."""
        self._deps.speech.check_voice(settings.voice)
        self._deps.settings = settings
        for session in running:
            try:
                session.change(session.spec)
            except ConfigError as error:
                log.warning("a session keeps its settings", session_id=session.id, error=str(error))

    async def engine_name(self, wanted: str | None) -> str:
        """The engine wanted, or the default one. Raises `ConfigError` when it cannot be used. See `EnginePool.load`."""
        name = wanted or self._default_engine
        await self._engines.load(name)
        self._engines.get(name)
        return name

    async def store(self, record: SessionRecord, watches: Iterable[WatchDraft]) -> list[WatchRecord]:
        """Keep a new session with its first watches. One that cannot be kept whole is ended.

        Cancelled, what is kept of it is ended too, at the next start at the latest.
        """
        await self._deps.sessions.add(record)
        stored = [watch_record(record.id, draft, record.created_wall) for draft in watches]
        try:
            for watch in stored:
                await self._deps.watches.add(watch)
        except BaseException:
            self._deps.sessions.post_end(record.id, endings.CRASHED, self._deps.clock.wall())
            raise
        return stored

    async def count_on(self, session_id: str) -> None:
        """An earlier process may have watched it: no tick and no remark gets a number that was used then.

        Cancelling it changes nothing.
        """
        try:
            newest = await self._deps.ticks.list(session_id, limit=1)
        except StoreError as error:
            log.warning("ticks cannot be read; the clock gives the numbers", session=session_id, error=str(error))
            return
        if newest:
            self._deps.numbers.stored(newest[0].id)

    def live_ticker(self, speed: float = 1.0) -> Ticker:
        tick_s = self._settings.tick_s
        self._opened += 1
        return LiveTicker(self._deps.clock, tick_s, speed=speed, phase_s=phase(self._opened, tick_s / speed))

    def lockstep_ticker(self, speed: float) -> Ticker:
        """At most `speed` times as fast as real time, at 0 as fast as it decides."""
        return LockstepTicker(self._deps.clock, self._settings.tick_s, speed=speed or None)

    def requested_ticker(self) -> RequestedTicker:
        """It ticks when a client asks."""
        return RequestedTicker(self._deps.clock, self._settings.tick_s)

    def listener(self, session_id: str) -> StateListener:
        """Hands a source's states to the session that runs then."""

        def on_state(state: SourceState) -> None:
            session = self._supervisor.find(session_id)
            if session is not None:
                session.source_changed(state)

        return on_state

    def begin(
        self,
        record: SessionRecord,
        spec: SessionSpec,
        source: Source,
        ticker: Ticker,
        watches: Iterable[WatchRecord] = (),
    ) -> Session:
        """From now on it runs, until its source ends or the supervisor stops it."""
        seen = ticker.over(source) if isinstance(ticker, RequestedTicker) else source
        session = Session(record, spec, seen, ticker, watches, self._deps)
        self._supervisor.begin(session)
        return session
