"""What went wrong with the server of an agent, as a sentence that says what to do. No key shows up in one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import httpx2

from joyvl_server.agents.base import AgentError
from joyvl_server.kit.masking import mask_secrets, mask_text
from joyvl_server.kit.net.error_words import words_of

MAX_WORDS = 200
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{48,}")
_PICTURES = re.compile(
    r"(?:does|do) not support images?|image input|image_url|input_image|multimodal|mmproj|vision|at most \d+ image",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"context[ _](?:length|window|size)|too many tokens|prompt (?:is )?too long", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerWords:
    """How this server is spoken of. `secrets`: what must never be quoted."""

    name: str
    url: str
    model: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def quote(self, text: str) -> str:
        """Of the server's words what is safe to show: one short line, as a sentence; empty where there is nothing."""
        text = _LONG_WORD.sub("…", mask_text(mask_secrets(text, self.secrets)[: 20 * MAX_WORDS]))
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_WORDS]
        return f" It says: {text}" if text else ""

    def refused(self, status: int, body: bytes) -> AgentError:
        """The error for an answer with this status."""
        words = body_words(body)
        said = self.quote(words)
        if status in (401, 403):
            # Not quoted: servers repeat parts of the key here.
            return AgentError(
                f"{self.url} wants another key ({status}). Set api_key or api_key_file of the agent {self.name}.",
                code="login",
            )
        if status == 404 and "model" in words.lower():
            return AgentError(
                f"{self.url} has no model {self.model!r}. "
                f"Set `model` of the agent {self.name} to one that it has.{said}",
                code="unavailable",
            )
        if status == 404:
            return AgentError(
                f"{self.url} has no such address (404). Does base_url of the agent {self.name} end with the right "
                f"path, most often /v1, and does the server have the API that `api` names?{said}",
                code="unavailable",
            )
        if 300 <= status < 400:
            return AgentError(
                f"{self.url} redirects ({status}), and redirects are not followed. "
                f"Set base_url of the agent {self.name} to the final address.",
                code="unavailable",
            )
        if status == 413 or _TOO_LONG.search(words):
            return AgentError(
                f"The question with all that goes with it is too long for {self.url} ({status}). Lower agents.frames, "
                f"or start the server with a longer context.{said}",
                code="too_much",
            )
        if status == 429:
            return AgentError(
                f"{self.url} is overloaded or its quota is used up (429). Ask again later.{said}", code="unavailable"
            )
        if status >= 500:
            return AgentError(
                f"{self.url} had an internal error ({status}). Look into its log.{said}", code="unavailable"
            )
        return AgentError(f"{self.url} refused the request ({status}).{said}", code="refused")

    def lost(self, error: Exception, silence_s: float, *, began: bool) -> AgentError:
        """The error for a connection that failed; `began`: a part of the answer was there. Nothing is quoted."""
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            return AgentError(
                f"No server answers at {self.url}. Is it running, and is base_url of the agent {self.name} right?",
                code="unavailable",
            )
        if isinstance(error, httpx2.TimeoutException):
            return AgentError(f"{self.url} gave no sign of life for {silence_s:g} s.", code="silent")
        if isinstance(error, httpx2.SSEError | httpx2.DecodingError | httpx2.LocalProtocolError | httpx2.InvalidURL):
            return self.nonsense("something that is no answer")
        if began:
            return AgentError(f"{self.url} broke off in the middle of the answer. Was it stopped?", code="died")
        return AgentError(f"The connection to {self.url} broke. Is it an HTTP server?", code="unavailable")

    def nonsense(self, what: str) -> AgentError:
        return AgentError(f"{self.url} sent {what}. Is it an OpenAI-compatible server?", code="protocol")


def refuses_pictures(status: int, body: bytes) -> bool:
    """Would it take the same question without pictures? (llama.cpp answers 500 here.)"""
    return status in (400, 415, 422, 500, 501) and _PICTURES.search(body_words(body)) is not None


def body_words(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    try:
        return words_of(json.loads(text))
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") or "\ufffd" in text else text  # a page in HTML tells nobody anything
