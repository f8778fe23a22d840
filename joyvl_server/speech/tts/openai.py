"""Voice `openai`: any server with `/v1/audio/speech`: OpenAI's, vLLM-Omni, those for Kokoro."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import httpx2
from pydantic import Field, SecretStr, field_validator

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.masking import mask_text
from joyvl_server.kit.net import http
from joyvl_server.kit.net.error_words import words_of
from joyvl_server.kit.net.option_checks import check_base_url, read_key, validated
from joyvl_server.speech.base import SpeechContext, SpeechError, SpeechState, Voice
from joyvl_server.speech.options import SpeechOptions
from joyvl_server.speech.text.language import base_language
from joyvl_server.speech.tts.sound_stream import SoundStream

WHERE = "speech.options.openai"
MAX_WORDS, MAX_BODY = 200, 65_536
_AUDIO = re.compile(r"audio/|application/octet-stream|binary/octet-stream|^$", re.IGNORECASE)
_RATE = re.compile(r"rate=(\d{4,6})", re.IGNORECASE)
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{48,}")
_OURS = ("input", "model", "voice", "response_format")


class OpenAITtsOptions(SpeechOptions):
    base_url: str = Field("http://127.0.0.1:8880/v1", description="Address of the server, up to and with `/v1`.")
    model: str = Field("kokoro", min_length=1, description="Name of the model.")
    voice: str = Field("af_heart", min_length=1, description="Voice where nothing else names one.")
    voices: dict[str, str] = Field(
        default_factory=dict, description="A voice for each language, like `{zh: zf_xiaoxiao}`."
    )
    api_key: SecretStr | None = Field(None, description="Key sent as `Authorization: Bearer …`.")
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of `api_key`.")
    response_format: Literal["pcm", "wav"] = Field(
        "pcm", description="What to ask for; a WAV header is always understood."
    )
    rate: int = Field(24_000, ge=8000, le=48_000, description="Sample rate of raw `pcm`, in Hz.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection.")
    timeout_s: float = Field(15.0, gt=0, le=120, description="Longest wait for the next piece of sound.")
    parallel: int = Field(4, ge=1, le=64, description="Sentences at once.")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="Further fields of each request.")

    _check_base_url = field_validator("base_url")(classmethod(lambda cls, value: check_base_url(value)))

    @field_validator("extra_body")
    @classmethod
    def _check_extra_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in _OURS:
            if name in value:
                raise ValueError(f"must not hold `{name}`, which has an option or is the engine's own")
        return value


class OpenAITts:
    name = "openai"
    remote = False

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError` for wrong options."""
        self._options = options = validated(OpenAITtsOptions, context.options, WHERE)
        self._key = read_key(options.api_key, options.api_key_file, WHERE)
        self._client = http.client(
            timeout_s=options.timeout_s,
            connect_timeout_s=options.connect_timeout_s,
            max_connections=options.parallel,
            headers={"authorization": f"Bearer {self._key}"} if self._key else None,
        )
        self._trouble = ""

    @property
    def state(self) -> SpeechState:
        return SpeechState("failed", self._trouble) if self._trouble else SpeechState("ready")

    async def start(self) -> None:
        """There is nothing to start: the first sentence shows how the server is. Never waits."""

    async def voices(self) -> list[Voice]:
        """As the server lists them, else those of the options. Raises `SpeechError` where no server answers.

        Cancelling it changes nothing.
        """
        listed: list[str] = []
        try:
            async with asyncio.timeout(self._options.timeout_s):
                answer = await self._client.get(f"{self._options.base_url}/audio/voices")
            if answer.status_code == 200 and len(answer.content) <= MAX_BODY:
                listed = _names(answer.json())
        except (httpx2.TransportError, TimeoutError):
            # Not a trouble of the engine: perhaps nobody means to use it.
            raise SpeechError(f"openai: {self._options.base_url} does not answer.", code="unavailable") from None
        except (httpx2.HTTPError, ValueError):
            pass
        own = {voice: language for language, voice in self._options.voices.items()}
        names = dict.fromkeys([self._options.voice, *own, *listed])
        return [Voice(name, own.get(name, "und"), name) for name in names]

    async def speak(self, text: str, *, voice: str | None, language: str | None) -> AsyncIterator[Pcm]:
        """See `Tts.speak`. Raises `SpeechError`: unavailable, timeout, too_long, failed."""
        try:
            async with aclosing(self._stream(text, voice or self._voice(language))) as pieces:
                async for pcm in pieces:
                    yield pcm
            self._trouble = ""
        except httpx2.TimeoutException:
            raise self._error(
                f"{self._options.base_url} sends nothing for {self._options.timeout_s:g} s.", "timeout"
            ) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            words = self._quote(str(error)) or type(error).__name__
            raise self._error(
                f"{self._options.base_url} cannot be reached or broke off: {words}.", "unavailable"
            ) from None
        except SpeechError as error:
            self._trouble = str(error)
            raise

    async def aclose(self) -> None:
        """Close the connections. Idempotent. Cancelled, they are closed all the same."""
        await self._client.aclose()

    def _voice(self, language: str | None) -> str:
        named = {base_language(tag): voice for tag, voice in self._options.voices.items()}
        return named.get(base_language(language or ""), self._options.voice)

    async def _stream(self, text: str, voice: str) -> AsyncGenerator[Pcm, None]:
        options = self._options
        body = {"model": options.model, "input": text, "voice": voice, "response_format": options.response_format}
        request = self._client.build_request("POST", f"{options.base_url}/audio/speech", json=body | options.extra_body)
        answer = await self._client.send(request, stream=True)
        try:
            await self._check(answer)
            kind = answer.headers.get("content-type", "")
            named = _RATE.search(kind)
            raw = options.response_format == "pcm" or "pcm" in kind.lower() or "l16" in kind.lower()
            rate = (int(named[1]) if named else options.rate) if raw else None
            stream = SoundStream("openai", text, rate=rate, called_mp3="mpeg" in kind.lower() or "mp3" in kind.lower())
            async for data in answer.aiter_bytes(16_384):
                for pcm in stream.feed(data):
                    yield pcm
            if not stream.began:
                raise SpeechError("openai: The server sent no sound.")
        finally:
            await answer.aclose()

    async def _check(self, answer: httpx2.Response) -> None:
        """Raises `SpeechError` where this is no sound, with the server's own words."""
        kind = answer.headers.get("content-type", "")
        if answer.status_code == 200 and _AUDIO.match(kind.strip()):
            return
        body = b""
        async for data in answer.aiter_bytes(4096):
            body += data
            if len(body) > MAX_BODY:
                break
        said = self._quote(_words(body))
        quoted = f" It says: {said}" if said else ""
        if answer.status_code == 200:
            raise SpeechError(f"openai: The server sends {kind.split(';')[0][:60]}, no sound.{quoted}")
        status = answer.status_code
        code = "unavailable" if status >= 500 or status in (401, 403, 404) else "busy" if status == 429 else "failed"
        raise SpeechError(f"openai: The server refuses ({status}).{quoted}", code=code)

    def _error(self, message: str, code: str) -> SpeechError:
        self._trouble = f"openai: {message}"
        return SpeechError(self._trouble, code=code)

    def _quote(self, text: str) -> str:
        """Of the server's words what is safe to show: one line without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        text = _LONG_WORD.sub("…", mask_text(text))
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_WORDS]


def _words(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return words_of(json.loads(text))
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") or "�" in text else text


def _names(listed: object) -> list[str]:
    """`{"voices": ["a"]}`, `{"voices": [{"id": "a"}]}`, or the list alone."""
    found = listed.get("voices") if isinstance(listed, dict) else listed
    names = (
        [one.get("id") or one.get("name") if isinstance(one, dict) else one for one in found or []]
        if isinstance(found, list)
        else []
    )
    return [name for name in names if isinstance(name, str) and name][:1000]
