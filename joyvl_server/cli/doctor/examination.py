"""Runs the checks, a few at once, each within its time, and masks what they say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from joyvl_server import __version__
from joyvl_server.cli.doctor.report import Check, Finding, Mask, Report, problem
from joyvl_server.core.errors import JoyvlError

AT_ONCE = 4


async def examine(checks: Sequence[Check], mask: Mask, tell: Callable[[Finding], None]) -> Report:
    """Run all of them; `tell` gets each finding in the order of the checks, as soon as those before it are there.

    Never raises for what a check does. Cancelled, the checks are.
    """
    places = asyncio.Semaphore(AT_ONCE)
    found: list[Finding] = []
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_bounded(check, places), name=f"check {check.name}") for check in checks]
        for check, task in zip(checks, running, strict=True):
            for finding in await task:
                masked = mask.finding(replace(finding, check=check.name))
                found.append(masked)
                tell(masked)
    return Report(tuple(found), __version__)


async def _bounded(check: Check, places: asyncio.Semaphore) -> list[Finding]:
    async with places:
        try:
            async with asyncio.timeout(check.limit_s):
                return list(await check.run())
        except TimeoutError:
            return [
                problem(
                    f"This was not known after {check.limit_s:g} s.",
                    "A disk, a driver or a server does not answer. Try it again; restart what hangs.",
                )
            ]
        except JoyvlError as error:
            return [problem(str(error), "")]
        except Exception as error:  # the edge: one check that fails must not hide the others
            return [
                problem(
                    f"The check itself failed: {type(error).__name__}: {error}",
                    "This is a mistake of joyvl-server; please report it with this line.",
                )
            ]


def sentences(error: JoyvlError) -> Iterable[str]:
    """The sentences of an error, one for each mistake in the settings."""
    return (line for line in str(error).splitlines() if line.strip())
