"""What is said about a hook that would never send anything, when it is made or changed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from joyvl_server.core.errors import NotAllowed
from joyvl_server.notify.base import DeliveryFailed, NetCheck, Sender
from joyvl_server.notify.rules.quiet import always_quiet
from joyvl_server.store.alerts.records import HookRecord

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""Longest time that names of receivers may take; after that nothing is said about them."""
ALWAYS_QUIET = "Its quiet hours leave no minute of the week, so nothing is ever sent."


async def with_notices(words: str, hook: HookRecord, kind: type[Sender], net: NetCheck) -> str:
    """`words`, and a sentence for each reason why nothing can arrive. Cancelling it changes nothing."""
    found = [words] if words else []
    if always_quiet(hook.quiet_hours):
        found.append(ALWAYS_QUIET)
    try:
        async with asyncio.timeout(LOOK_S):
            for host in dict.fromkeys(kind.hosts(hook.options)):
                with suppress(DeliveryFailed):  # a name may get its address later
                    await net.address(host)
    except NotAllowed as error:
        found.append(str(error))
    except TimeoutError:
        pass
    except Exception:  # somebody else's code: the hook is made all the same
        log.exception("the hosts of a hook cannot be told", hook=hook.name)
    return " ".join(found)
