"""Engine `openai`: any server with `/v1/audio/transcriptions`."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import Mapping
from typing import Any

import httpx2

from joyvl_server.kit.audio.pcm import Pcm
from joyvl_server.kit.masking import mask_text
from joyvl_server.kit.net import http
from joyvl_server.kit.net.error_words import words_of
from joyvl_server.kit.net.option_checks import validated
from joyvl_server.speech.asr.filters import Decoded, understood
from joyvl_server.speech.asr.openai_options import WHERE, OpenAIAsrOptions
from joyvl_server.speech.base import Heard, SpeechContext, SpeechError, SpeechState

MAX_BODY = 1_048_576
MAX_DETAIL = 200
VERBOSE, PLAIN = "verbose_json", "json"
LANGUAGES = {
    "english": "en", "chinese": "zh", "mandarin": "zh", "cantonese": "yue", "german": "de", "french": "fr",
    "spanish": "es", "italian": "it", "portuguese": "pt", "dutch": "nl", "russian": "ru", "japanese": "ja",
    "korean": "ko", "arabic": "ar", "hindi": "hi", "turkish": "tr", "polish": "pl", "ukrainian": "uk",
    "vietnamese": "vi", "indonesian": "id", "swedish": "sv", "czech": "cs", "greek": "el", "hebrew": "he",
}  # fmt: skip
"""OpenAI's server names the language in English."""


class OpenAIAsr:
    """An `Asr`. `at_once`: requests that the server takes at a time."""

    name = "openai"

    def __init__(self, context: SpeechContext) -> None:
        """Raises `ConfigError`."""
        self._options = validated(OpenAIAsrOptions, context.options, WHERE)
        self._secret = self._options.key()
        self.at_once = self._options.parallel
        self._format = VERBOSE
        """what the server takes, learnt from what it refuses"""
        self._failure: str | None = None
        self._client = http.client(
            timeout_s=self._options.timeout_s,
            connect_timeout_s=self._options.connect_timeout_s,
            max_connections=self._options.parallel + 2,
            headers={"authorization": f"Bearer {self._secret}"} if self._secret else None,
            verify=self._options.base_url.startswith("https:"),
        )

    @property
    def state(self) -> SpeechState:
        extra = {"url": self._options.base_url, "model": self._options.model}
        if self._failure is None:
            return SpeechState("ready", None, extra)
        return SpeechState("failed", self._failure, extra)

    @property
    def partials(self) -> bool:
        return self._options.partials

    async def start(self) -> None:
        """Nothing is sent: the first sentence shows whether it works. Never waits."""

    async def hear(self, audio: Pcm, *, language: str | None, partial: bool = False) -> Heard:
        """See `Asr.hear`. Raises `SpeechError`: unavailable, timeout, failed, busy, too_long. Cancelled, the request
        is given up at once."""
        try:
            async with asyncio.timeout(self._options.timeout_s):
                data = await self._transcribe(audio, language)
        except TimeoutError:
            raise self._failed(f"took more than {self._options.timeout_s:g} s", "timeout") from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise self._failed(_why(error), "unavailable") from None
        self._failure = None
        logprob, silence = _certainty(data)
        text = understood(Decoded(data["text"], audio.seconds, logprob, silence, self._options.prompt or ""))
        return Heard(text, _language(data) or language)

    async def aclose(self) -> None:
        """Close the connections. Idempotent. Cancelled, they are closed all the same."""
        await self._client.aclose()

    async def _transcribe(self, audio: Pcm, language: str | None) -> dict[str, Any]:
        """The transcription, with a text. Raises `SpeechError`, `HTTPError`."""
        wav = _wav(audio)
        status, kind, body = await self._post(wav, language)
        if status in (400, 422) and self._format == VERBOSE:
            # Some models write plain JSON only. Where that was not the reason, the second refusal is told.
            self._format = PLAIN
            status, kind, body = await self._post(wav, language)
            self._format = PLAIN if status == 200 else VERBOSE
        if status != 200:
            raise self._refused(status, body)
        data = _read_stream(body) if kind == "text/event-stream" else _read_json(body)
        if data is None or not isinstance(data.get("text"), str):
            raise self._failed("sent no transcription. Is it a server with /audio/transcriptions?", "failed")
        return data

    async def _post(self, wav: bytes, language: str | None) -> tuple[int, str, bytes]:
        fields = {"model": self._options.model, "response_format": self._format, "temperature": "0"}
        if language is not None:
            fields["language"] = language.partition("-")[0]
        if self._options.prompt:
            fields["prompt"] = self._options.prompt
        request = self._client.build_request(
            "POST",
            f"{self._options.base_url}/audio/transcriptions",
            data=fields | self._options.extra_fields,
            files={"file": ("speech.wav", wav, "audio/wav")},
        )
        response = await self._client.send(request, stream=True)
        try:
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_BODY:
                    raise self._failed("sends without an end", "failed")
                if b"transcript.text.done" in body and _read_stream(body) is not None:
                    break  # some keep the connection open after it
        finally:
            await response.aclose()
        return response.status_code, response.headers.get("content-type", "").partition(";")[0].strip(), body

    def _refused(self, status: int, body: bytes) -> SpeechError:
        if status in (401, 403):
            return self._failed(f"wants another API key ({status})", "unavailable")  # it may repeat parts of the key
        if status == 404:
            return self._failed("has no /audio/transcriptions, or no such model (404)" + self._quote(body), "failed")
        if status == 413:
            return self._failed("takes no sound of this length (413)", "too_long")
        if status == 429 or status >= 500:
            code = "busy" if status in (429, 503) else "unavailable"
            return self._failed(f"cannot do it right now ({status})" + self._quote(body), code)
        return self._failed(f"refused it ({status})" + self._quote(body), "failed")

    def _failed(self, what: str, code: str) -> SpeechError:
        self._failure = f"{self._options.base_url} {what.rstrip('.')}."
        return SpeechError(f"openai: {self._failure}", code=code)

    def _quote(self, body: bytes) -> str:
        """The server's own words, safe to show."""
        text = words_of(_read_json(body))
        if self._secret:
            text = text.replace(self._secret, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in mask_text(text[:2000])).split())
        return f": {text[:MAX_DETAIL]}" if text else ""


def _wav(audio: Pcm) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes(audio.samples.astype("<i2", copy=False).tobytes())
    return stream.getvalue()


def _read_json(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _read_stream(body: bytes) -> dict[str, Any] | None:
    """Server-sent events: pieces of the text, then the whole. None where the whole is missing."""
    for line in body.split(b"\n"):
        if line.startswith(b"data:"):
            event = _read_json(line[5:].strip())
            if event is not None and event.get("type") == "transcript.text.done":
                return event
    return None


def _language(data: Mapping[str, Any]) -> str | None:
    told = data.get("language")
    if not isinstance(told, str):
        return None
    name = told.strip().lower()
    return LANGUAGES.get(name) or (name if 2 <= len(name.partition("-")[0]) <= 3 else None)


def _certainty(data: Mapping[str, Any]) -> tuple[float, float]:
    """Mean log-probability, and probability that nobody speaks, where the server tells them."""
    segments = data.get("segments")
    told = [segment for segment in segments if isinstance(segment, dict)] if isinstance(segments, list) else []
    return _mean(told, "avg_logprob"), _mean(told, "no_speech_prob")


def _mean(segments: list[dict[str, Any]], name: str) -> float:
    numbers = [value for segment in segments if isinstance(value := segment.get(name), int | float)]
    return sum(numbers) / len(numbers) if numbers else 0.0


def _why(error: Exception) -> str:
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return "cannot be reached. Is it running?"
    if isinstance(error, httpx2.TimeoutException):
        return "took too long"
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.DecodingError):
        return "does not speak HTTP"
    return "broke off before the answer was complete"
