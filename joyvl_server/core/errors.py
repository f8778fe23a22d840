"""Every error that crosses a ring.

JoyvlError                     a sentence a user may read; never holds a secret
├── ConfigError                settings that cannot be used
├── NotAllowed                 the net policy, a scope or a limit forbids it
├── NotFound                   no such camera, session, watch …
├── Conflict                   a name used twice, a state that forbids the call
├── SourceError                a source that cannot be opened or read
│   └── NoFrame                there is no picture to look at right now
├── EngineError                the engine did not answer as it should
│   ├── ContextTooLong         a prompt longer than the engine takes: a shorter one will do
│   ├── EngineTimeout
│   └── EngineUnavailable      unreachable, refused, overloaded
│       └── EngineLoading      it starts, or loads its model: it will answer
└── StoreError                 the record on disk cannot be read or written

Each class carries `code`, a stable word for programs; the message is for people.
"""

from __future__ import annotations

from joyvl_server.core.texts import well_formed


class JoyvlError(Exception):
    """Base of all errors a user may see. `code` is stable; `str(error)` is a sentence without secrets."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(well_formed(message))  # it may quote a server, a file name or a user
        if code is not None:
            self.code = code


class ConfigError(JoyvlError):
    code = "config"


class NotAllowed(JoyvlError):
    code = "not_allowed"


class NotFound(JoyvlError):
    code = "not_found"


class Conflict(JoyvlError):
    code = "conflict"


class SourceError(JoyvlError):
    """A source that cannot be opened or read.

    Codes: unreachable, refused, timeout, unauthorized, not_found, not_a_stream, redirected, no_video, unknown_codec,
    stalled, ended, lost, not_allowed, bad_sdp, no_udp_port, worker_died, internal.
    """

    code = "source"


class NoFrame(SourceError):
    """No picture to look at right now. Codes: connecting, offline, stale, ended."""

    code = "no_frame"


class EngineError(JoyvlError):
    code = "engine"


class ContextTooLong(EngineError):
    """`limit` is the longest context the engine takes, `asked` what it was given, in its own tokens; None where it does
    not say."""

    code = "engine_context"

    def __init__(self, message: str, *, limit: int | None = None, asked: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.asked = asked


class EngineTimeout(EngineError):
    code = "engine_timeout"


class EngineUnavailable(EngineError):
    code = "engine_unavailable"


class EngineLoading(EngineUnavailable):
    code = "engine_loading"


class StoreError(JoyvlError):
    code = "store"


def why_of(error: Exception) -> str:
    """What an error says, for the log. A timeout of asyncio says nothing itself."""
    return str(error) or ("it took too long" if isinstance(error, TimeoutError) else type(error).__name__)
