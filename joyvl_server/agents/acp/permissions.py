"""A permission that an agent asks for, as people see it, and what it is answered."""

from __future__ import annotations

import json
import shlex
from itertools import takewhile
from typing import Any, cast, get_args

from joyvl_server.agents.base import PermissionKind, PermissionOption, PermissionRequest
from joyvl_server.agents.visible_text import one_line, visible

MAX_DETAIL, MAX_TITLE, MAX_OPTIONS = 7500, 300, 12
_KINDS = get_args(PermissionKind)


def permission_of(call: dict[str, Any], options: object, unshown: tuple[str, ...] = ()) -> PermissionRequest | None:
    """`call`: all that is known of the tool call, in the protocol's words. None where nobody could choose anything.

    `unshown`: names of inputs, and how lines of texts begin from which on they are left out, that tell people nothing.
    """
    choices = tuple(
        PermissionOption(
            option["optionId"], one_line(str(option.get("name", ""))), cast(PermissionKind, option["kind"])
        )
        for option in (options if isinstance(options, list) else [])[:MAX_OPTIONS]
        if isinstance(option, dict) and isinstance(option.get("optionId"), str) and option.get("kind") in _KINDS
    )
    if not choices:
        return None
    detail = _detail(call, unshown)
    title = one_line(str(call.get("title") or call.get("kind") or "")) or one_line(detail) or "use a tool"
    return PermissionRequest(title[:MAX_TITLE], detail, choices)


def outcome_of(request: PermissionRequest, chosen: str | None) -> dict[str, Any]:
    """The answer. What was not chosen is rejected this once; for ever, or cancelled, where it cannot be."""
    if chosen not in {option.id for option in request.options}:
        by_kind = {option.kind: option.id for option in reversed(request.options)}
        chosen = by_kind.get("reject_once") or by_kind.get("reject_always")
    if chosen is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": chosen}}


def is_allowed(request: PermissionRequest, chosen: str | None) -> bool:
    return any(option.id == chosen and option.kind.startswith("allow") for option in request.options)


def _detail(call: dict[str, Any], unshown: tuple[str, ...]) -> str:
    parts = [
        *_input(call.get("rawInput"), unshown),
        *_content(call.get("content"), unshown),
        *_places(call.get("locations")),
    ]
    text = "\n".join(dict.fromkeys(part for part in parts if part))
    shown = visible(text[:MAX_DETAIL])
    if len(text) > MAX_DETAIL:
        return f"(Too long to be shown whole: the first {MAX_DETAIL} of {len(text)} characters.)\n{shown}"
    return shown


def _input(given: object, unshown: tuple[str, ...]) -> list[str]:
    if not isinstance(given, dict):
        return [] if given is None else [_json(given)]
    given = {name: value for name, value in given.items() if name not in unshown}
    rest = dict(given)
    command = rest.pop("command", None)
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        command = shlex.join(command)
    if not isinstance(command, str):
        return [_json(given)] if given else []
    return [command, *(f"{name}: {_value(value)}" for name, value in rest.items())]


def _value(value: object) -> str:
    """One line as it is; what has more cannot look like another input."""
    return value if isinstance(value, str) and value.isprintable() else _json(value)


def _content(content: object, unshown: tuple[str, ...]) -> list[str]:
    parts = []
    for piece in content if isinstance(content, list) else ():
        if not isinstance(piece, dict):
            continue
        if piece.get("type") == "diff":
            parts.append(f"{piece.get('path')}:\n{piece.get('newText')}")
        elif isinstance(inner := piece.get("content"), dict) and isinstance(inner.get("text"), str):
            told = takewhile(lambda line: not (unshown and line.startswith(unshown)), inner["text"].splitlines())
            parts.append("\n".join(told))
    return parts


def _places(locations: object) -> list[str]:
    places = locations if isinstance(locations, list) else []
    return [str(place.get("path")) for place in places if isinstance(place, dict) and place.get("path")]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
