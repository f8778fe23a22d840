"""Logging: structlog for us, the standard library for others, one output, and no secret in it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from joyvl_server.kit.masking import MASK, is_secret_name, mask_text

_QUIET = ("aioice", "aiortc", "asyncio", "httpcore2", "httpx2", "websockets", "uvicorn.access")
"""Libraries that log at info level what we log ourselves."""


def configure(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Send every log line to `stream` (stderr by default), as text or JSON lines; `auto` is text on a terminal.

    The last call counts. `level`: debug, info, warning or error.
    """
    out = stream if stream is not None else sys.stderr
    text = format == "text" or (format == "auto" and out.isatty())
    threshold = getattr(logging, level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        # Tracebacks become plain text here, before the mask; the renderers would add local variables.
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if text else structlog.processors.JSONRenderer(default=str)
    )
    handler = logging.StreamHandler(out)
    handler.set_name("joyvl")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask_secrets, renderer],
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if h.get_name() == "joyvl"]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *(p for p in shared if not isinstance(p, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def mask_secrets(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Processor: fields named like secrets become `***`, and so do credentials inside any text, however deep."""
    return {key: MASK if is_secret_name(key) else _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: MASK if is_secret_name(str(key)) else _masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return mask_text(str(value))
