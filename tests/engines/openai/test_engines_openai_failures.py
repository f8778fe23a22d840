import base64
import socket
import ssl

import httpx2
import pytest

from joyvl_server.core.errors import ContextTooLong, EngineError, EngineLoading, EngineTimeout, EngineUnavailable
from joyvl_server.engines.openai.failures import (
    Endpoint,
    context_limit,
    detail_of,
    from_status,
    from_transport,
    from_words,
)

KEY = "sk-hush-0123456789"
PEER = Endpoint("http://host:8000/v1", "eyes-8b", KEY)


@pytest.mark.parametrize(
    ("status", "detail", "kind", "code", "words"),
    [
        (
            401,
            f"Incorrect API key: {KEY}",
            EngineError,
            "engine_unauthorized",
            "wants a different API key (401). Set api_key",
        ),
        (403, "no", EngineError, "engine_unauthorized", "(403)"),
        (404, "The model `eyes-8b` does not exist.", EngineError, "engine_model", "has no model 'eyes-8b'"),
        (404, "Not Found", EngineError, "engine_not_found", "Does base_url end with the right path"),
        (
            400,
            "This model's maximum context length is 8192 tokens",
            ContextTooLong,
            "engine_context",
            "Lower sessions.context_tokens",
        ),
        (413, "", ContextTooLong, "engine_context", "too long"),
        (
            400,
            "At most 1 image(s) may be provided in one request.",
            EngineError,
            "engine_pictures",
            "--limit-mm-per-prompt",
        ),
        (422, "unknown field: colour", EngineError, "engine_refused", "It says: unknown field: colour"),
        (429, "slow down", EngineUnavailable, "engine_overloaded", "It asks to wait 7 s."),
        (
            500,
            "boom",
            EngineUnavailable,
            "engine_unavailable",
            "had an internal error (500). Look into its log. It says: boom",
        ),
        (503, "", EngineUnavailable, "engine_unavailable", "(503)"),
        (503, "Loading model", EngineLoading, "engine_loading", "is loading its model (503)"),
        (500, "error loading model: no such file", EngineUnavailable, "engine_unavailable", "had an internal error"),
        (
            500,
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
            EngineError,
            "engine_pictures",
            "Use a vision model",
        ),
        (307, "", EngineError, "engine_redirect", "Set base_url to the final address"),
    ],
)
def test_each_status_says_what_to_do(status: int, detail: str, kind: type[EngineError], code: str, words: str) -> None:
    error = from_status(PEER, status, detail, "7")
    assert type(error) is kind
    assert error.code == code
    assert words in str(error)
    assert KEY not in str(error)


@pytest.mark.parametrize(
    "detail",
    [
        f"bad header: Bearer {KEY}",
        "cannot load data:image/jpeg;base64," + base64.b64encode(bytes(range(256)) * 30).decode(),
        "invalid base64: " + base64.b64encode(bytes(range(256)) * 30).decode(),
        "fetching http://me:hush-hush@other/x failed",
        "line one\r\nline two \x1b[31m" + "words " * 500,
    ],
)
def test_what_a_server_quotes_never_shows_a_secret_or_a_picture(detail: str) -> None:
    sentence = str(from_status(PEER, 400, detail))
    assert KEY not in sentence
    assert "hush-hush" not in sentence
    assert "AAECAwQF" not in sentence
    assert len(sentence) < 400
    assert sentence.isprintable()


def test_a_key_is_not_in_the_peers_repr() -> None:
    assert KEY not in repr(PEER)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"error":{"message":"no"}}', "no"),
        (b'{"error":"no"}', "no"),
        (b'{"detail":"no"}', "no"),
        (b'{"detail":[{"msg":"no","loc":[]}]}', "no"),
        (b'[{"error":{"message":"no"}}]', "no"),
        (b'{"message":"no"}', "no"),
        (b"plain words", "plain words"),
        (b'{"fine":1}', '{"fine":1}'),
        (b"<html><h1>502 Bad Gateway</h1></html>", ""),
        (b"[" * 5000, "[" * 5000),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_words_are_found_in_every_shape_of_error_body(body: bytes, detail: str) -> None:
    assert detail_of(body) == detail


def caused_by(cause: BaseException) -> httpx2.ConnectError:
    error = httpx2.ConnectError("quoted: sk-hush")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (
            caused_by(ConnectionRefusedError()),
            EngineUnavailable,
            "No server answers at http://host:8000/v1. Is it running?",
        ),
        (caused_by(socket.gaierror()), EngineUnavailable, "has no address"),
        (caused_by(ssl.SSLError()), EngineUnavailable, "no secure connection"),
        (httpx2.ConnectTimeout("hush"), EngineUnavailable, "no connection in time"),
        (httpx2.PoolTimeout("hush"), EngineTimeout, "No connection to http://host:8000/v1 became free"),
        (httpx2.ReadTimeout("hush"), EngineTimeout, "took too long"),
        (httpx2.WriteTimeout("hush"), EngineTimeout, "took too long"),
        (httpx2.SSEError("hush"), EngineError, "too large"),
        (httpx2.RemoteProtocolError("hush"), EngineUnavailable, "broke before the answer was complete"),
        (httpx2.ReadError("hush"), EngineUnavailable, "broke before the answer was complete"),
        (httpx2.StreamClosed(), EngineUnavailable, "broke before the answer was complete"),
        (httpx2.LocalProtocolError("hush"), EngineError, "does not speak HTTP"),
        (httpx2.InvalidURL("hush"), EngineError, "does not speak HTTP"),
    ],
)
def test_each_broken_connection_is_a_sentence_without_the_transports_words(
    failure: httpx2.HTTPError, kind: type[EngineError], words: str
) -> None:
    error = from_transport(PEER, failure)
    assert type(error) is kind
    assert words in str(error)
    assert "hush" not in str(error)


@pytest.mark.parametrize(
    ("words", "limit", "asked"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4744 in the "
            "messages, 256 in the completion).",
            4096,
            5000,
        ),
        (
            "The decoder prompt (length 5064) is longer than the maximum model length of 4096. Make sure that "
            "`max_model_len` is no smaller than the number of text tokens plus multimodal tokens.",
            4096,
            5064,
        ),
        (
            "'max_tokens' is too large: 256. This model's maximum context length is 4096 tokens and your request has "
            "4000 input tokens (256 > 4096 - 4000).",
            4096,
            None,
        ),
        ("the request exceeds the available context size, try increasing it", None, None),
        ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096, 5000),
        (
            "Trying to keep the first 4500 tokens when context the overflows. However, the model is loaded with "
            "context length of only 4096 tokens, which is not enough.",
            4096,
            4500,
        ),
        ("Your input exceeds the context window of this model. Please adjust your input and try again.", None, None),
        ("prompt too long; exceeded max context length by 904 tokens", None, None),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 4096, 5000),
        ("Input length (5000 tokens) exceeds the maximum allowed length (4090 tokens).", 4090, 5000),
        ("Prompt contains 40,000 tokens, too large for model with 32,768 maximum context length", 32768, 40000),
        ("The input token count (11000) exceeds the maximum number of tokens allowed (10485).", 10485, 11000),
    ],
)
@pytest.mark.parametrize("status", [400, 422, 500, None])
def test_a_prompt_that_is_too_long_is_told_apart_in_every_servers_words(
    words: str, limit: int | None, asked: int | None, status: int | None
) -> None:
    error = from_words(PEER, words) if status is None else from_status(PEER, status, words)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.asked) == (limit, asked)


def test_llama_cpp_tells_its_limit_beside_the_words() -> None:
    body = (
        '{"error":{"code":400,"message":"it exceeds the available context size","n_prompt_tokens":5000,"n_ctx":4096}}'
    )
    error = from_status(PEER, 400, detail_of(body.encode()), body=body)
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.asked) == (4096, 5000)
    assert context_limit("no numbers at all") == (None, None)


@pytest.mark.parametrize("words", ["the colour is too long", "CUDA out of memory", "failed to load model", ""])
def test_other_words_tell_none_of_that(words: str) -> None:
    assert from_words(PEER, words) is None
