"""What the doctor finds, and how it is printed."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, SecretStr

from joyvl_server.kit.masking import is_secret_name, mask_secrets, mask_text

INDENT = 22
NARROWEST, WIDEST = 60, 120


class FindingStatus(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """works, but not as well as it could, or not for long"""
    PROBLEM = "problem"
    """does not work until somebody does something"""
    SKIPPED = "skipped"
    """not looked at, with the reason"""


@dataclass(frozen=True, slots=True)
class Finding:
    """`message`: one or two sentences about what is; `advice`: what to do, empty where there is nothing to do.

    `check` is set by whoever runs the check. `more`: lines that belong to it, like a table.
    """

    status: FindingStatus
    message: str
    advice: str = ""
    more: tuple[str, ...] = ()
    check: str = ""


def ok(message: str, *more: str) -> Finding:
    return Finding(FindingStatus.OK, message, more=more)


def warning(message: str, advice: str, *more: str) -> Finding:
    return Finding(FindingStatus.WARNING, message, advice, more)


def problem(message: str, advice: str, *more: str) -> Finding:
    return Finding(FindingStatus.PROBLEM, message, advice, more)


def skipped(message: str, advice: str = "") -> Finding:
    return Finding(FindingStatus.SKIPPED, message, advice)


class CheckListener(Protocol):
    """Hears how far a check is that takes minutes."""

    def tell(self, words: str) -> None: ...


class Check(Protocol):
    """One thing to look at. `name` is a short word, `limit_s` the seconds it may take."""

    name: str

    @property
    def limit_s(self) -> float: ...

    async def run(self) -> Iterable[Finding]:
        """What is found. Raises `JoyvlError` where a sentence says it all. Cancelled, it leaves nothing behind."""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, without a secret in them."""

    findings: tuple[Finding, ...]
    version: str

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(finding.status for finding in self.findings)
        return {str(status): counted[status] for status in FindingStatus}

    @property
    def healthy(self) -> bool:
        """Nothing keeps the server from working."""
        return not self.counts[FindingStatus.PROBLEM]

    def as_json(self) -> dict[str, Any]:
        """For programs: `ok`, `version`, `counts`, `findings` with `check`, `status`, `message`, `advice`, `more`."""
        findings = [
            {"check": f.check, "status": str(f.status), "message": f.message, "advice": f.advice, "more": list(f.more)}
            for f in self.findings
        ]
        return {"ok": self.healthy, "version": self.version, "counts": self.counts, "findings": findings}

    def summary(self) -> str:
        counts = self.counts
        if not counts["problem"] and not counts["warning"]:
            return "No problem was found."
        found = f"{_number(counts['problem'], 'problem')} and {_number(counts['warning'], 'warning')}"
        return f"{found[0].upper()}{found[1:]}; a problem keeps something from working, a warning does not."


def text_of(finding: Finding, width: int) -> str:
    """The finding as lines for a terminal of `width` columns."""
    width = min(max(width, NARROWEST), WIDEST)
    head = f"{finding.status:<8} {finding.check:<{INDENT - 10}} "
    blank = " " * INDENT
    lines = textwrap.wrap(
        finding.message, width, initial_indent=head, subsequent_indent=blank, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    lines += [f"{blank}{line}" for line in finding.more]
    if finding.advice:
        lines += textwrap.wrap(
            finding.advice, width, initial_indent=f"{blank}→ ", subsequent_indent=f"{blank}  ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Mask:
    """Takes every secret that is known out of a text: those of the settings, and what looks like one."""

    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, settings: BaseModel | None, others: Sequence[str] = ()) -> Mask:
        # The longest first: one may be a part of another.
        found = {*others, *(() if settings is None else _secrets(settings, ""))}
        return cls(tuple(sorted(found, key=len, reverse=True)))

    def text(self, text: str) -> str:
        return mask_secrets(mask_text(text), self.secrets)

    def finding(self, finding: Finding) -> Finding:
        more = tuple(map(self.text, finding.more))
        return replace(finding, message=self.text(finding.message), advice=self.text(finding.advice), more=more)


def _secrets(value: object, name: str) -> Iterable[str]:
    """Every secret in settings or a part of them: secret by its type or by its name."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _secrets(getattr(value, key), key)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secrets(item, name)
    elif isinstance(value, str) and is_secret_name(name):
        yield value


def _number(count: int, word: str) -> str:
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"
