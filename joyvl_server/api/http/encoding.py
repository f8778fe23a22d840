"""JSON as it goes out: always UTF-8, whatever text came in."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

from joyvl_server.core.texts import well_formed


def to_json(content: Any) -> str:
    """Raises `ValueError` for what JSON cannot hold (NaN)."""
    return well_formed(json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


class JsonResponse(JSONResponse):
    """One text that is not well formed must not make the whole answer, with all that others wrote, an error."""

    def render(self, content: Any) -> bytes:
        return to_json(content).encode()
