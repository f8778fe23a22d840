"""A session as OpenAI's clients see it, and what `session.update` changes of it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from joyvl_server.api.realtime.client_error import ClientError, invalid
from joyvl_server.api.schemas.calls import INSTRUCTIONS, CallSession
from joyvl_server.api.schemas.realtime import RATE, AudioInput, AudioOutput, VoiceId, engine_of
from joyvl_server.core.errors import NotFound
from joyvl_server.sessions.session import Session
from joyvl_server.sessions.watch_list import WatchDraft

FORMAT = {"type": "audio/pcm", "rate": RATE}
FIXED = ("engine", "name", "watches")
"""what is chosen when the connection is opened"""


class SessionChange:
    """`call`: its sound comes over a track."""

    def __init__(self, session: Session, wanted: CallSession, *, call: bool) -> None:
        self._session = session
        self._wanted = wanted
        self._call = call
        given = [watch.id for watch in session.watches.all() if watch.name == INSTRUCTIONS]
        self._watch_id = given[0] if given and wanted.standing else None

    @property
    def modality(self) -> str:
        return self._wanted.modality

    @property
    def voice(self) -> str:
        return str(self.shape()["audio"]["output"]["voice"])

    @property
    def manual(self) -> bool:
        """Does the client say when somebody speaks?"""
        return self._wanted.manual

    def shape(self) -> dict[str, Any]:
        """As the client sees it. `id` is the one that every other path of ours calls `session_id`."""
        shape = session_shape(self._wanted, self._session.record.engine)
        return {"id": self._session.id, "object": "realtime.session", **shape}

    async def update(self, given: dict[str, Any]) -> None:
        """What is not given stays. Raises `ClientError`, `JoyvlError`: then nothing is changed.

        Cancelled while the watch is stored, settings are changed already and are not shown.
        """
        try:
            asked = CallSession.model_validate(given)
            merged = CallSession.model_validate(_merged(self._wanted.model_dump(exclude_unset=True), given))
        except ValidationError as error:
            raise invalid(error, "session") from None
        for name in FIXED:
            if name in asked.model_fields_set:
                raise ClientError(f"session.{name}: It cannot be changed any more.", param=f"session.{name}")
        engine = self._session.record.engine
        if asked.model is not None and (engine_of(asked.model) or engine) != engine:
            raise ClientError("session.model: It cannot be changed any more.", param="session.model")
        spec = merged.spec(call=self._call).changed({"engine": self._session.spec.engine})
        if spec != self._session.spec:
            self._session.change(spec)
        if merged.standing != self._wanted.standing:
            await self._instruct(merged.standing)
        self._wanted = merged

    async def _instruct(self, text: str | None) -> None:
        watches, watch_id = self._session.watches, self._watch_id
        if watch_id is not None and all(watch.id != watch_id for watch in watches.all()):
            watch_id = None  # somebody has removed it
        self._watch_id = None
        if text is None:
            if watch_id is not None:
                await watches.remove(watch_id)
        elif watch_id is not None:
            try:
                self._watch_id = (await watches.change(watch_id, {"text": text})).id
            except NotFound:
                pass
        if text is not None and self._watch_id is None:
            self._watch_id = (await watches.add(WatchDraft(text, INSTRUCTIONS))).id


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`audio` and what is in it field by field; all else as a whole."""
    found = dict(old)
    for name, value in new.items():
        before = found.get(name)
        deeper = name in ("audio", "input", "output") and isinstance(before, dict) and isinstance(value, dict)
        found[name] = _merged(before, value) if deeper and before is not None else value
    return found


def session_shape(session: CallSession, engine: str) -> dict[str, Any]:
    """`engine`: the name of the default one. What was taken and changes nothing is not shown."""
    given = session.audio
    heard = (given and given.input) or AudioInput()
    said = (given and given.output) or AudioOutput()
    voice = said.voice.id if isinstance(said.voice, VoiceId) else said.voice
    turns = heard.turn_detection
    return {
        "type": "realtime",
        "model": engine_of(session.model) or engine,
        "instructions": session.instructions or "",
        "output_modalities": [session.modality],
        "tools": [],
        "audio": {
            "input": {
                "format": FORMAT,
                "transcription": None
                if heard.transcription is None
                else heard.transcription.model_dump(exclude_none=True),
                "noise_reduction": None,
                "turn_detection": None if turns is None else turns.model_dump(exclude_none=True),
            },
            "output": {"format": FORMAT, "voice": voice or "auto", "speed": 1.0},
        },
    }
