"""What went wrong with an OpenAI-compatible server, as a sentence that says what to do about it.

Nothing of a request (key, picture) may show up in a sentence, though servers like to quote what they refuse.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import dataclass, field

import httpx2

from joyvl_server.core.errors import ContextTooLong, EngineError, EngineLoading, EngineTimeout, EngineUnavailable
from joyvl_server.kit.masking import mask_text
from joyvl_server.kit.net.error_words import words_of

MAX_DETAIL = 200
MAX_READ = 4000
"""characters of a refusal in which a limit is looked for"""

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,?\S*")
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{48,}")  # pieces of base64, keys
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|max(?:imum)?[ _]context|max_model_len|exceed_context|prompt (?:is )?too long"
    r"|too many (?:input )?tokens|longer than the (?:maximum|model)|exceeds? the max(?:imum)?\b.{0,40}(?:tokens|length)"
    r"|max_new_tokens. must be <=",
    re.IGNORECASE,
)
_LIMITS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"n_ctx\W{1,4}(\d[\d,]*)",
        r"context[ _](?:length|window|size)(?! by\b)(?: [a-z]+){0,2}\s*[(:=]?\s*(\d[\d,]*)",
        r"(\d[\d,]*) (?:tokens? )?(?:maximum )?context (?:length|window|size)",
        r"(?:maximum|model) length(?: [a-z]+){0,2}\s*[(:=]?\s*(\d[\d,]*)",
        r"(?:maximum allowed length|maximum number of tokens allowed)\s*\(?(\d[\d,]*)",
        r"(?:<=|>) (\d[\d,]*)",
    )
)
"""How servers tell the longest context that they take."""
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?![\w.])")
LEAST_CONTEXT, MOST_CONTEXT = 64, 100_000_000
_PICTURES = re.compile(
    r"at most \d+ (?:image|picture)|single image|multimodal|(?:does|do) not support images?|image input|image_url"
    r"|vision",
    re.IGNORECASE,
)
_NO_PICTURES = re.compile(r"(?:does|do) not support images?|image input is not supported|mmproj", re.IGNORECASE)
_LOADING = re.compile(
    r"\bloading\b.{0,60}\bmodel|\bmodel\b.{0,120}\bloading|\bwarming up|\bstarting up|is still starting", re.IGNORECASE
)
_NOT_LOADING = re.compile(r"fail|error loading|unable|could not|cannot", re.IGNORECASE)
_FORGOTTEN = re.compile(r"cache miss for image", re.IGNORECASE)  # vLLM: a picture was named, and it does not have it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server as sentences name it. `secret` is what must never be quoted."""

    url: str
    model: str = ""
    secret: str = field(default="", repr=False)

    def quote(self, text: str) -> str:
        """`text` of the server's, safe to show: one line, at most 200 characters, without key or picture."""
        if self.secret:
            text = text.replace(self.secret, "***")
        text = _LONG_WORD.sub("…", _DATA_URL.sub("…", mask_text(text[:20_000])))
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1].rstrip() + "…"


def detail_of(body: bytes) -> str:
    """The server's own words in an error body, whichever shape it has; unquoted."""
    text = body.decode("utf-8", "replace")
    try:
        return words_of(json.loads(text)) or text
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text  # an error page in HTML tells nobody anything


def is_too_long(detail: str) -> bool:
    return _TOO_LONG.search(detail) is not None


def context_limit(text: str) -> tuple[int | None, int | None]:
    """The longest context that a refusal tells, and what it says it was given; None where it tells neither."""
    for pattern in _LIMITS:
        for match in pattern.finditer(text[:MAX_READ]):
            limit = _whole(match[1])
            if LEAST_CONTEXT <= limit <= MOST_CONTEXT:
                others = [_whole(number) for number in _NUMBER.findall(text[:MAX_READ])]
                return limit, max((n for n in others if limit < n <= 1000 * limit), default=None)
    return None, None


def from_words(endpoint: Endpoint, detail: str, body: str = "", *, status: int | None = None) -> EngineError | None:
    """The error that the server's own words tell, whatever status they came with; None where they tell none of these.

    `body` is the whole answer, where it holds more than the words.
    """
    number = "" if status is None else f" ({status})"
    said = endpoint.quote(detail)
    quoted = f" It says: {said}" if said else ""
    if is_too_long(detail) or "exceed_context_size" in body:
        limit, asked = context_limit(detail)
        if limit is None:
            limit, asked = context_limit(body)
        return ContextTooLong(
            f"The context is too long for {endpoint.url}{number}. Lower sessions.context_tokens, or start the server "
            f"with a longer context.{quoted}",
            limit=limit,
            asked=asked,
        )
    if _LOADING.search(detail) and not _NOT_LOADING.search(detail):
        return EngineLoading(f"{endpoint.url} is loading its model{number}.{quoted}")
    if _NO_PICTURES.search(detail):
        return _pictures(endpoint, number, quoted)
    return None


def from_status(
    endpoint: Endpoint, status: int, detail: str, retry_after: str | None = None, *, body: str = ""
) -> EngineError:
    """The error for an answer with this status. `detail` is the server's own words, `body` all that it sent."""
    said = endpoint.quote(detail)
    quoted = f" It says: {said}" if said else ""
    if status in (401, 403):
        # Not quoted: servers repeat parts of the key here.
        return EngineError(
            f"{endpoint.url} wants a different API key ({status}). "
            "Set api_key or api_key_file in engine.options.openai.",
            code="engine_unauthorized",
        )
    if status == 404:
        if "model" in detail.lower():
            return EngineError(
                f"{endpoint.url} has no model {endpoint.model!r}. "
                "Set `model` in engine.options.openai to one that it has, "
                f"or leave it empty for the first one.{quoted}",
                code="engine_model",
            )
        return EngineError(
            f"{endpoint.url} has no such address (404). Does base_url end with the right path, most often /v1?{quoted}",
            code="engine_not_found",
        )
    if (told := from_words(endpoint, detail, body, status=status)) is not None:
        return told
    if status == 413:
        return ContextTooLong(
            f"The request is too long for {endpoint.url} (413). Lower sessions.context_tokens, or let the server take "
            f"larger ones.{quoted}"
        )
    if status == 400 and _FORGOTTEN.search(detail):
        return EngineError(f"{endpoint.url} no longer has a picture that it was sent.", code="engine_forgot")
    if status in (400, 422) and _PICTURES.search(detail):
        return _pictures(endpoint, f" ({status})", quoted)
    if status == 429:
        wait = f" It asks to wait {retry_after} s." if retry_after and retry_after.isdigit() else ""
        return EngineUnavailable(
            f"{endpoint.url} is overloaded or its quota is used up (429).{wait} Use fewer sessions or a longer "
            f"ask less of it.{quoted}",
            code="engine_overloaded",
        )
    if status >= 500:
        return EngineUnavailable(f"{endpoint.url} had an internal error ({status}). Look into its log.{quoted}")
    if 300 <= status < 400:
        return EngineError(
            f"{endpoint.url} redirects ({status}), and redirects are not followed. Set base_url to the final address.",
            code="engine_redirect",
        )
    return EngineError(f"{endpoint.url} refused the request ({status}).{quoted}", code="engine_refused")


def _pictures(endpoint: Endpoint, number: str, quoted: str) -> EngineError:
    return EngineError(
        f"{endpoint.url} does not accept these pictures{number}. Use a vision model, and allow as many pictures as "
        f"a context holds (vLLM: --limit-mm-per-prompt).{quoted}",
        code="engine_pictures",
    )


def from_transport(endpoint: Endpoint, error: httpx2.HTTPError | httpx2.StreamError | httpx2.InvalidURL) -> EngineError:
    """The error for a connection that failed. Texts of the transport are not quoted."""
    if isinstance(error, httpx2.ConnectTimeout):
        return EngineUnavailable(f"{endpoint.url} does not answer: no connection in time. Is the address right?")
    if isinstance(error, httpx2.PoolTimeout):
        return EngineTimeout(f"No connection to {endpoint.url} became free in time. It is too slow for these sessions.")
    if isinstance(error, httpx2.TimeoutException):
        return EngineTimeout(f"{endpoint.url} took too long. It is overloaded, or timeout_s is too short for it.")
    if isinstance(error, httpx2.ConnectError):
        return EngineUnavailable(_why_no_connection(endpoint, error))
    if isinstance(error, httpx2.SSEError):
        return EngineError(f"{endpoint.url} sent a piece of an answer that is too large.", code="engine_protocol")
    if isinstance(
        error, httpx2.DecodingError | httpx2.LocalProtocolError | httpx2.UnsupportedProtocol | httpx2.InvalidURL
    ):
        return EngineError(f"{endpoint.url} does not speak HTTP. Is base_url right?", code="engine_protocol")
    return EngineUnavailable(
        f"The connection to {endpoint.url} broke before the answer was complete. Was the server stopped?",
        code="engine_cut",
    )


def _whole(digits: str) -> int:
    return int(digits.replace(",", "")[:12])


def _why_no_connection(endpoint: Endpoint, error: BaseException) -> str:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(causes) < 10:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(c, ssl.SSLError) for c in causes):
        return (
            f"{endpoint.url} and we found no secure connection (TLS). Is its certificate valid, and is it https at all?"
        )
    if any(isinstance(c, socket.gaierror) for c in causes):
        return f"The name in {endpoint.url} has no address. Check the spelling."
    return f"No server answers at {endpoint.url}. Is it running?"
