"""The refusals of `page.server`."""

from __future__ import annotations


class Problem(Exception):
    def __init__(self, status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> None:
        self.body = {
            "type": f"urn:joyvl:problem:{code}",
            "title": code,
            "status": status,
            "detail": detail,
            "code": code,
        }
        if errors:
            self.body["errors"] = errors
