"""Words that name kinds of sounds, in English, German and Chinese: regular expressions like those of `kind_words.py`.

They are looked for first. A phrase without kinds keeps a word from being mistaken.
"""

from __future__ import annotations

from joyvl_server.core.watches.kinds import Kinds, WatchKind

SMOKE, CO, LOUD, QUIET = WatchKind.SMOKE_ALARM, WatchKind.CO_ALARM, WatchKind.LOUD, WatchKind.QUIET

PHRASES: tuple[tuple[str, Kinds], ...] = (
    (
        r"\b(?:co|carbon[ -]?monoxide)(?: gas)?[ -](?:alarm|detector|warning|sensor)s?(?: \w+){{0,2}}?"
        r"(?: (?:sounds?|rings?|beeps?|chirps?|goes off|went off|is triggered|sounding|ringing|beeping|going off))?",
        (CO,),
    ),
    (
        r"\b(?:co|kohlen(?:stoff)?monoxid)[ -]?(?:alarm|melder|warner|detektor)\w*"
        r"(?: (?:piept|ertönt|losgeht|anschlägt))?",
        (CO,),
    ),
    ("(?:一氧化碳|煤气|co) ?(?:警报|报警|告警)器?(?:.{{0,2}}响(?:了|起)?)?", (CO,)),
    (
        r"\b(?:smoke|fire|heat)[ -](?:and co )?(?:alarm|detector|siren)s?"
        r"(?: (?:sounds?|rings?|beeps?|chirps?|goes off|went off|is triggered|sounding|ringing|beeping|going off))?",
        (SMOKE,),
    ),
    (
        r"\b(?:rauch|feuer|brand)[ -]?(?:alarm|melder|warner|warnmelder|detektor)\w*"
        r"(?: (?:piept|ertönt|losgeht|anschlägt|geht los|schlägt an))?",
        (SMOKE,),
    ),
    (
        "(?:烟雾|烟感|火灾|火警|消防)(?:探测器|警报|报警|告警|警铃)?器?(?:.{{0,2}}响(?:了|起)?)?"
        "(?<!火灾)(?<!烟雾)(?<!消防)",
        (SMOKE,),
    ),
    (r"\b(?:loud\w* (?:and clear|colou?rs?|shirts?)|sag\w* (?:es )?laut|out loud|say it loud|speak loud\w*)\b", ()),
    (r"\blaut(?: \w+){{0,2}} (?:bericht|angaben|plan|vertrag)\b", ()),
    (
        r"\b(?:loud|sudden) (?:\w+ )?(?:noises?|sounds?|bangs?|cr(?:y|ies)|screams?|voices?|music)\b"
        r"|\b(?:it|something|someone) (?:is|gets|becomes) (?:very |too )?(?:loud|noisy)\b|\b(?:loud|noisy)\b"
        r"|\b(?:bang|gunshot|explosion|shouting|screaming|shouts|screams|glass break(?:s|ing)?)s?\b",
        (LOUD,),
    ),
    (
        r"\b(?:lautes?|plötzliche[sr]?|laute[rn]?) (?:\w+ )?(?:geräusch\w*|knall\w*|schrei\w*|lärm|musik|stimmen?)\b"
        r"|\b(?:es|jemand|etwas) (?:\w+ )?laut (?:wird|ist)\b|\bwird (?:es )?laut\b|\b(?:lärm|krach|knallt?|schreit)\b"
        r"|\bes knallt\b",
        (LOUD,),
    ),
    (
        "(?:很大的?|巨大的?|突然的?|响亮的?)(?:声音|声响|响声|噪音|噪声)"
        "|巨响|大声|吵闹|噪音|噪声|尖叫|枪声|爆炸声|喊叫",
        (LOUD,),
    ),
    (
        r"\b(?:no (?:sounds?|noises?)|(?:long |complete |total )?silence)\b"
        r"|\b(?:it|everything|the \w+) (?:is|goes|gets|becomes|stays|has been|falls) (?:\w+ )?(?:silent|quiet)\b"
        r"|\b(?:silent|quiet) (?:for|too)\b|\btoo quiet\b",
        (QUIET,),
    ),
    (
        r"\b(?:kein (?:geräusch|ton|laut)|(?:lange |völlige )?stille)\b"
        r"|\b(?:es|alles) (?:\w+ ){{0,2}}(?:leise|ruhig) (?:ist|wird|bleibt)\b"
        r"|\b(?:zu|lange) (?:still|leise|ruhig)\b|\bnichts (?:mehr )?zu hören\b",
        (QUIET,),
    ),
    (
        "没有?(?:任何|一点)?(?:声音|动静声|声响)|(?:很久|长时间|一直|太)(?:没有?声|安静|寂静)"
        "|寂静|安静(?:下来|了|得)|变安静|无声",
        (QUIET,),
    ),
)
