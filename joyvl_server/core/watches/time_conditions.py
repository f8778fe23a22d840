"""Does a watch depend on time ("tell me if nobody moves for 5 minutes")? Then the model must see every second.

Read from the words alone, and on the safe side: a watch that is taken for one costs skipped seconds that are no longer
skipped; one that is not recognised could be late. English and German are read well, the commonest words of a few more
languages too, and what is written in other letters counts as depending on time.
"""

from __future__ import annotations

import re

_STEMS = (
    # units and times of day, also inside words ("halfminute", "Viertelstunde", "überstündig")
    r"\w*(?:sekund|minut|minuut|stund|stünd|midnight|mitternacht|mittag|o'clock|o’clock)\w*",
    r"(?:second|segund|hour|heure|hora|day|daily|week|month|tag|täglich|woche|monat|morning|evening|afternoon|night)\w*",
    r"(?:morgens|abends|nachts|noon|uhr|secs?|mins?|hrs?|ora|ore|uur)",
    # lasting
    r"(?:still|yet|while|until|till|since|during|within|long|longer|lasts?|lasting|meanwhile|overdue|late)",
    r"(?:stay|remain|keep|continu|linger|loiter|wait|idl|motionless|unattended)\w*",
    r"(?:noch|lang|lange|länger|seit|seitdem|bis|während|solange|dauernd|spät|später|inzwischen)",
    r"(?:bleib|verweil|dauer|wart|reglos|regungslos|bewegungslos|unbewegt|unbeaufsichtigt)\w*",
    r"(?:depuis|pendant|jusqu|encore|reste|desde|mientras|durante|hasta|todavía|aún|ancora|mentre|fino)\w*",
    # movement that is missing
    r"(?:(?:not|n't|n’t|no longer|stops?|without) (?:mov|stir|com|leav)\w*|nicht (?:mehr )?(?:beweg|rühr|komm|geh)\w*)",
    r"(?:beweg|rühr)\w* sich (?:\w+ )?nicht",
)
_WORDS = re.compile(rf"(?<!\w)(?:{'|'.join(_STEMS)})(?!\w)|n['’]t (?:mov|stir|com|leav)", re.IGNORECASE)
_CLOCK = re.compile(r"\d[:.h]\d\d(?!\d)|\d ?(?:[smh]|am|pm|a\.m|p\.m|min|sec|std|sek)(?!\w)", re.IGNORECASE)
LAST_LATIN = "\u024f"


def time_conditioned(text: str) -> bool:
    """Does what `text` asks for depend on how long something lasts, or on the time?"""
    return bool(_WORDS.search(text) or _CLOCK.search(text)) or any(c.isalpha() and c > LAST_LATIN for c in text)
