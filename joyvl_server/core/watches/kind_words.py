"""Words that name kinds, in English, German and Chinese: regular expressions for `named_kinds.py`, nothing else.

Sentences that they must read right, and wrong ones, are in `tests/core/watches/test_core_kinds.py`.

Phrases are looked for from the top of the list to its end, and what one has taken no other can take: so "comes to a
stop" is no arrival. A phrase without kinds is there to keep a word from being mistaken (the leaves of a tree).
"""

from __future__ import annotations

from joyvl_server.core.watches.kinds import Kinds, WatchKind

ENTER, LEAVE, MOVE, STILL = WatchKind.ENTER, WatchKind.LEAVE, WatchKind.MOVE, WatchKind.STILL
CHANGED, DARK, COVERED, FROZEN = WatchKind.CHANGED, WatchKind.DARK, WatchKind.COVERED, WatchKind.FROZEN

# Names in braces stand for these. All is in lower case; ä, ö, ü and ß of texts and lists are read as ae, oe, ue, ss.
NAMES = {
    "someone": r"(?:some(?:one|body)|any(?:one|body)|people|persons?|visitors?|guests?|strangers?|kids?|child(?:ren)?"
    r"|m[ae]n|wom[ae]n|postman|courier|he|she|they)",
    "jemand": r"(?:jemand|irgendwer|wer|einer|leute|person(?:en)?|mensch(?:en)?|besuch\w*|g(?:a|ä)st\w*|fremde\w*"
    r"|kind(?:er)?|mann|frau|postbote|bote|er|sie|alle|letzte)",
    "picture": r"(?:picture|image|video|stream|feed|frame|screen|footage|camera)s?",
    "bild": r"(?:bild|video|stream|kamera)\w*",
    "lens": r"(?:camera|lens|view|picture|image|sight)\w*",
    "linse": r"(?:kamera|linse|objektiv|sicht|bild)\w*",
    "light": r"(?:lights?|lamps?)",
    "zh_picture": r"(?:画面|视频|图像|镜头|摄像头|摄像机|屏幕)",
    "zh_lens": r"(?:镜头|摄像头|摄像机|画面|视线|视野)",
}

# Phrases with their kinds, the ones that must win first.
PHRASES: tuple[tuple[str, Kinds], ...] = (
    # the camera and its picture
    (
        r"\b{picture}\b[^,]{{0,12}}\b(?:frozen|freez\w+|froze|stuck|hangs?|hung|stands? still|st(?:ops|opped"
        r"|uck))\b",
        (FROZEN,),
    ),
    (r"\b(?:frozen|freezing|stuck) {picture}\b|\bstill picture\b|\b(?:it|camera) freezes\b", (FROZEN,)),
    (
        r"\b{bild}[^,]{{0,16}}\b(?:eingefroren|einfriert|friert ein|hängt|steht still|still ?steht"
        r"|(?:stehen )?bleibt(?: stehen)?)\b",
        (FROZEN,),
    ),
    (r"\bfriert [^,]{{0,12}}\bein\b|\beingefroren\w*|\beinfr(?:iert|ieren)\b|\bstandbild\w*", (FROZEN,)),
    ("{zh_picture}.{{0,4}}(?:卡|冻结|定格|静止|不动|不变)|卡住|卡顿|定格|冻结", (FROZEN,)),
    (
        r"\b(?:cover|block|obstruct|obscur|tamper|hid|mask|spray)\w*\b[^,]{{0,12}}\b{lens}\b"
        r"|\b{lens}\b[^,]{{0,16}}\b(?:cover|block|obstruct|obscur|tamper|mask|spray)\w*",
        (COVERED,),
    ),
    (r"\bcovered (?:in|with|by|porch|walk|terrace|area|parking|market|face|head|hair|mouth|body)\b", ()),
    (r"\bcovered\b|\bcovers it\b|\bin front of the {lens}\b|\btamper\w*", (COVERED,)),
    (
        r"\b{linse}\b[^,]{{0,24}}\b(?:blockier\w*|versperr\w*|bedeck\w*|besprüh\w*|beschmier\w*|zuh(?:a|ä)lt"
        r"|zugehalten|zugeklebt)\b",
        (COVERED,),
    ),
    (r"\b(?:verdeck|abgedeck|zugedeck|verhüll|zugehäng|zudeck|abdeck)\w*", (COVERED,)),
    (
        "(?:挡住|挡着|被挡|捂住|蒙住|罩住|盖住|遮住).{{0,6}}{zh_lens}|{zh_lens}.{{0,6}}(?:挡|捂|蒙|罩|盖|遮)|遮挡|遮盖|遮住|盖住|蒙住",
        (COVERED,),
    ),
    (
        r"\bcameras? (?:\w+ ){{0,2}}(?:mov\w*|turn\w*|shift\w*|shak\w*|bump\w*|knock\w*|tilt\w*)"
        r"|\bmov(?:es?|ed|ing) the cameras?\b",
        (CHANGED,),
    ),
    (
        r"\bkamera (?:\w+ ){{0,2}}(?:bewegt|verschoben|verschiebt|gedreht|dreht|verdreht|wackelt|umfällt)\b",
        (CHANGED,),
    ),
    (
        "(?:摄像头|摄像机|相机|镜头)(?:被|在|有)?(?:人)?(?:移动|转动|动了|挪动|晃动|碰)|(?:移动|转动|碰)了?(?:摄像头|摄像机|相机)",
        (CHANGED,),
    ),
    # light
    (
        r"\b(?:in|at|during|before|after) (?:the )?dark(?:ness)?\b"
        r"|\bdark[ -](?:\w+ )?(?:cloth\w*|jackets?|coats?|hood\w*|shirts?|trousers|hats?|suits?|cars?|vans?"
        r"|vehicles?|hair\w*|skin\w*|figures?|shapes?|shadows?|people|persons?|m[ae]n|colou?r\w*|blue|green|red"
        r"|grey|gray|brown|corners?|rooms?|alleys?|spots?)\b",
        (),
    ),
    (r"\b(?:im dunkeln|bei dunkelheit|in der dunkelheit|nach einbruch der dunkelheit)\b", ()),
    (
        r"\bdark(?:ness|ens?|er)?\b|\bblack(?:s|ed)? ?out\b"
        r"|\b(?:is|goes|gets|turns|went|picture|image|screen) black\b|\bnight falls\b"
        r"|\bpower (?:cut|failure|outage)\b",
        (DARK,),
    ),
    (
        r"\b{light}\b[^,]{{0,12}}\b(?:off|out)\b|\b(?:switch|turn)\w* (?:off|out) (?:\w+ )?{light}\b"
        r"|\b(?:turns?|switch(?:es)?) (?:the )?{light} (?:off|out)\b",
        (DARK,),
    ),
    (
        r"\b(?:dunkel|dunkelheit|finster|verdunkelt|stockdunkel|stockfinster|stromausfall)\b|\bwird dunkler\b"
        r"|\b(?:wird|ist) [^,]{{0,8}}schwarz\b|\bschwarz wird\b",
        (DARK,),
    ),
    (
        r"\blicht\w*\b[^,]{{0,14}}\b(?:aus|ausgeht|ausmacht|ausschaltet|ausgeschaltet|ausgemacht|erlischt)\b",
        (DARK,),
    ),
    ("变暗|变黑|天黑|黑了|黑屏|暗下来|黑下来|关灯|熄灯|关了灯|灯.{{0,2}}(?:灭|关|熄)|太暗|黑暗|停电|一片黑", (DARK,)),
    (
        r"\b{light}\b[^,]{{0,12}}\bon\b(?! the\b)|\b(?:comes?|goes|switch\w*|turn\w*) on\b"
        r"|\b(?:gets?|becomes?) (?:light|bright)\b",
        (CHANGED,),
    ),
    (
        r"\blicht\w*\b[^,]{{0,14}}\b(?:an|angeht|anmacht|anschaltet|eingeschaltet|angeschaltet)\b"
        r"|\b(?:hell|heller) (?:wird|ist)\b|\bwird (?:es )?(?:wieder )?hell\b",
        (CHANGED,),
    ),
    ("开灯|灯.{{0,2}}(?:亮|开)|变亮|亮起来", (CHANGED,)),
    # words that look like others
    (
        r"\b(?:the|of|falling|autumn|dead|green|dry|some|any|tree) leaves\b"
        r"|\bleaves (?:of|on|in the wind|fall\w*)\b|\bleaflets?\b",
        (),
    ),
    (
        r"\b(?:bus|tram|train) stops?\b|\bstop signs?\b|\b(?:at|near|by) the (?:bus |tram )?stop\b|\bdoor ?stop\b",
        (),
    ),
    (r"\b(?:emergency|fire|the|an?) exits?\b|\bmoving (?:vans?|trucks?|boxes)\b|\bmovies?\b", ()),
    (r"\b(?:kommt (?:es )?(?:darauf|drauf) an|vorkomm\w*|in frage kommt|geht es um|es losgeht|wie geht)\b", ()),
    ("自动|手动|电动车?|启动|动物|活动室|运动(?:鞋|场|服)|移动(?:电话|设备)|停车(?:场|位)|进入睡眠|本来|起来的", ()),
    # rest, and its end
    (r"\b(?:get|stand|wake)s? up\b|\bwakes\b", (MOVE,)),
    (
        r"\bcom(?:es?|ing) to (?:a )?(?:stop|halt|rest|standstill)\b"
        r"|\b(?:stops?|stopped|stopping|quits?|ceases?) (?:\w+ )?mov(?:ing|ement)\b|\bwithout (?:moving"
        r"|movement)\b",
        (STILL,),
    ),
    (
        r"\b(?:st[ao]nd(?:s|ing)?|stood|stay(?:s|ed|ing)?|s[ia]t(?:s|ting)?|l(?:ies?|ay|ying)|keep(?:s|ing)?|kept"
        r"|hold(?:s|ing)?|remain(?:s|ed|ing)?) (?:\w+ )?(?:still|motionless)\b"
        r"|\bstand(?:ing|s)?still\b|\bquite still\b"
        r"|\b(?:is|are|be|becomes?|goes|being) (?:completely |very )?still$",
        (STILL,),
    ),
    (
        r"\bmotionless\w*|\bimmobile\b|\bunmoving\b|\bhalts?\b|\bhalted\b|\bloiter\w*|\blinger\w*|\bstops? by\b",
        (STILL,),
    ),
    (
        r"\b(?:stops?|stopped) (?:at|in|on|near|in front|outside|there|here|for|and|or)\b|\bstop(?:s|ped)\b",
        (STILL,),
    ),
    (r"\bstill (?:there|here|open|on|running|alive)\b", ()),
    (
        r"\b(?:stehen|liegen|sitzen)[ -]?bleib\w*|\bbleib\w* (?:\w+ ){{0,3}}?(?:stehen|liegen|sitzen)\b"
        r"|\bstill ?(?:steht|stehen|hält|liegt|sitzt)\b|\b(?:steht|liegt|sitzt|hält) (?:ganz )?still\b",
        (STILL,),
    ),
    (
        r"\b(?:bewegungs|regungs|reg)los\w*|\bstillstand\b|\bzum (?:stehen|stillstand) komm\w*"
        r"|\bkomm\w* zum (?:stehen|stillstand)\b|\banhält\b|\bhält (?:\w+ )?an\b|\bstoppt\b|\bverharr\w*"
        r"|\binnehält\b|\bherumlunger\w*|\bverweil\w*",
        (STILL,),
    ),
    (r"\baufhör\w* (?:\w+ )?zu bewegen\b|\bhör\w* (?:\w+ ){{0,3}}auf,? (?:sich )?zu bewegen\b", (STILL,)),
    (
        "一动不动|不再(?:移动|走动|动)|站着不动|停止(?:移动|走动|活动)|停下(?:来)?|停住|停止|静止|站住|停留|逗留|徘徊|不动|没动|没有动(?!静)",
        (STILL,),
    ),
    # both ways
    (
        r"\bcom(?:ing|ings|es?) (?:and|or) go(?:ing|ings|es)?\b|\bcom\w+ in (?:and|or|and/or) (?:go\w* )?out\b"
        r"|\b(?:enters?|entering|goes in|in) (?:and|or) (?:leaves?|leaving|exits?|goes out|out)\b|\bcomes? out\b"
        r"|\bcoming out\b",
        (ENTER, LEAVE),
    ),
    (
        r"\bkomm\w* (?:und|oder|bzw\.?) (?:wieder )?geh\w*|\b(?:raus|heraus|hinaus)komm\w*"
        r"|\bkomm\w* (?:\w+ ){{0,3}}?(?:raus|heraus|hinaus)\b|\brein (?:und|oder) raus\b",
        (ENTER, LEAVE),
    ),
    ("进出|出入|来来往往|来来去去|来往|出来|进进出出", (ENTER, LEAVE)),
    # away
    (
        r"\bleaves? (?:an? |something|some|the )?\w* ?(?:behind|there|here)\b|\bleaves? (?:an?|something|some) \w+",
        (CHANGED,),
    ),
    (
        r"\bleave(?:s|d)?\b|\bleaving\b|\b(?:has|have|had|just|already|all|everyone|everybody) left\b"
        r"|\bleft (?:the|my|our|his|her|their|home)\b",
        (LEAVE,),
    ),
    (
        r"\b(?:go(?:es|ne|ing)?|went|walk(?:s|ed|ing)?|run(?:s|ning)?|ran|driv(?:es?|ing)|drove|mov(?:es?|ed|ing)"
        r"|get(?:s|ting)?|step(?:s|ped|ping)?|pull(?:s|ed|ing)?|head(?:s|ed|ing)?) (?:away|out|off|home)\b"
        r"|\bdepart\w*|\bexits\b|\bexit(?:ing|ed)\b|\bis gone\b|\bare gone\b|\bgone away\b",
        (LEAVE,),
    ),
    (r"\bdisappear\w*|\bvanish\w*|\bgone missing\b|\bgone\b", (LEAVE, CHANGED)),
    (
        r"\bverl(?:a|ä)ss(?:t|en|end\w*)\b|\bverliess\w*"
        r"|\b(?:weg|raus|hinaus|heraus|fort|heim|davon)(?:zu)?(?:geh|lauf|läuf|fahr|fähr|renn)\w*"
        r"|\b(?:geht|gehen|ging|läuft|laufen|rennt|fährt|fahren) (?:\w+ ){{0,2}}?(?:weg|raus|hinaus|heraus|fort"
        r"|davon|heim|nach hause|ab|los)\b"
        r"|\b(?:weg|fort|raus|hinaus)gegangen\b|\b(?:abfähr|abfahr|abreis|abhau|losfähr)\w*|\bentfernt sich\b"
        r"|\bsich entfernt\b|\bausser sicht\b",
        (LEAVE,),
    ),
    (
        r"\b{jemand} (?:wieder |dann )?(?:geht|gehen|ging|gegangen ist|weg ist)\b(?! \w+)"
        r"|\b{jemand} (?:wieder |dann )?(?:geht|gehen)(?= (?:oder|und|bzw)\b)"
        r"|\b(?:oder|und) (?:wieder )?(?:geht|gehen)\b",
        (LEAVE,),
    ),
    (r"\bverschw[iu]nd\w*", (LEAVE, CHANGED)),
    (
        "走了(?!进|过|近|回|来)|走开|走掉|走出|出去|出门|离开|离去|离场|开走|跑掉|跑了(?!进|过|来)|人走(?:了(?!进|过|近|回|来)|后|时|$)",
        (LEAVE,),
    ),
    ("消失|不见了", (LEAVE, CHANGED)),
    # in
    (
        r"\bwalks? (?:past|by)\b|\bpass(?:es|ing) (?:by|through)?|\bdriv(?:es?|ing) (?:past|by)\b|\bstops? by\b"
        r"|\bdrops? by\b",
        (ENTER,),
    ),
    (
        r"\b(?:come|coming|came|get(?:s|ting)?|go(?:es|ing)?|went|walk(?:s|ed|ing)?|run(?:s|ning)?|step(?:s|ped"
        "|ping)?|driv(?:es?|ing)|pull(?:s|ed|ing)?|break(?:s|ing)?|broke|climb(?:s|ed|ing)?|sneak(?:s|ing)?"
        "|mov(?:es?|ed|ing)|turn(?:s|ed)?|show(?:s|ed)?|jump(?:s|ed|ing)?) (?:in|into|inside|up(?: to)?|over"
        r"|through|towards?|closer|near)\b",
        (ENTER,),
    ),
    (
        r"\bcom(?:es?|ing)\b(?! (?:down|off|from the right hand))|\bcame\b|\benter(?:s|ed|ing)?\b|\bentry\b"
        r"|\barriv\w*|\bappear\w*|\bshows up\b|\bapproach\w*|\breturn(?:s|ed|ing)?\b|\bintru\w*|\bburglar\w*"
        r"|\bbreak-?in\b|\btrespass\w*|\bvisit(?:s|ed|ing)?\b|\brings? the (?:door)?bell\b",
        (ENTER,),
    ),
    (
        r"\b(?:her|hin|rein|herein|hinein|an|zurück|heim|vorbei|wieder|näher|heran|hinzu|dazu|ran|rüber|hoch"
        r"|herauf|runter|herunter|zu)?(?:zu)?(?:ge)?komm(?:t|en|e|end\w*)\b"
        r"|\b(?:her|herein|an|zurück|heim|vorbei)?kam(?:en)?\b",
        (ENTER,),
    ),
    (
        r"\bbetr(?:itt|eten|at)\b|\beintritt\b|\btritt (?:\w+ )?ein\b|\bauftauch\w*"
        r"|\btauch\w* (?:\w+ ){{0,2}}auf\b|\berschein\w*|\bankunft\b|\beindring\w*"
        r"|\beinbr(?:icht|uch|echer\w*|ech\w*)\b|\beintr(?:ifft|effen)\b|\btrifft (?:\w+ )?ein\b"
        r"|\b(?:sich )?näher(?:t|n)\b|\bklingelt\b"
        r"|\b(?:rein|herein|hinein|vorbei|hin)(?:geh|lauf|läuf|fahr|fähr|spazier|schau)\w*"
        r"|\b(?:geht|gehen|läuft|fährt|spaziert|schaut) (?:\w+ ){{0,3}}?(?:rein|herein|hinein|vorbei|vor)\b"
        r"|\b(?:geht|gehen|läuft|fährt) (?:in|ins|zur|zum|auf|durch|über) \w+|\b(?:vorfähr|einfähr|vorfahr)\w*",
        (ENTER,),
    ),
    (
        "进来|进入|进门|进屋|进到|进去|走(?:了)?(?:进|过来|近|来)|闯(?:了)?(?:入|进)|进了|来了|到来|到达|抵达|来访|来人|上门|出现|回来|回家|过来|靠近|接近|有人来|人来"
        "|到(?:了)?门口|路过|经过|访客|敲门|入侵|到了",
        (ENTER,),
    ),
    # things
    (
        r"\b(?:tak(?:es?|en|ing)|took|st(?:eals?|olen|ole)|remov\w+|missing|put(?:s|ting)?|plac(?:es?|ed|ing)"
        r"|picks? up|picked up|drops?|dropped|swap\w*|rearrang\w*|replac\w*)\b",
        (CHANGED,),
    ),
    (
        r"\bchang\w+|\bdifferent\b|\b(?:opens?|opened|opening|closes?|closed|closing|shuts?)\b"
        r"|\b(?:is|was|are|been|gets?) moved\b",
        (CHANGED,),
    ),
    (
        r"\b(?:ver|ge)?änder\w*|\banders (?:ist|aussieht)\b|\b(?:weg|mit|heraus|raus)(?:genommen|nimmt|nehmen)\b"
        r"|\bnimmt (?:\w+ ){{0,3}}(?:weg|mit)\b|\bgestohlen\b|\bgeklaut\b|\bklaut\b|\bstiehlt\b|\bfehlt\b"
        r"|\b(?:hin|ab)(?:gestellt|stellt|gelegt|legt)\b|\b(?:stellt|legt) (?:\w+ ){{0,3}}(?:ab|hin)\b"
        r"|\bverschoben\b|\bumgestellt\b|\böffnet\b|\bgeöffnet\b|\baufgeht\b|\bgeht auf\b|\bschliesst\b"
        r"|\bgeschlossen\b|\bentfernt (?:wird|wurde)\b",
        (CHANGED,),
    ),
    (
        "变化|改变|变了|变动|不一样|不同|拿走|取走|移走|搬走|偷|放下|放了|多了|少了|丢了|打开|开门|关门|关上|门开",
        (CHANGED,),
    ),
    # movement: who comes in moves, too; "again" is only what stood
    (r"\bmov(?:es?|ing|ed) again\b|\b(?:starts?|begins?) (?:moving|to move)(?: again)?\b", (MOVE,)),
    (
        r"\b(?:sich )?wieder (?:bewegt|rührt|bewegen)\b|\bbewegt sich (?:\w+ )?wieder\b"
        r"|\b(?:aufsteht|aufstehen|steht auf|aufwacht)\b|\bin bewegung setzt\b|\bsetzt sich in bewegung\b",
        (MOVE,),
    ),
    ("又动|再次(?:移动|动)|开始(?:移动|动|走动)|动起来|重新(?:移动|动)|起床|站起来|醒来", (MOVE,)),
    (
        r"\bmov(?:es?|ing|ement|ements|ed)\b|\bmotion\b|\bstir(?:s|ring)?\b|\bwander\w*"
        r"|\b(?:walk|run)(?:s|ning|ing)? (?:around|about)\b|\bactivity\b",
        (ENTER, MOVE),
    ),
    (
        r"\bbewegt?(?:e|en)?\b(?: sich)?|\bbewegung\w*|\b(?:rührt|regt)\b(?: sich)?"
        r"|\b(?:herum|umher)(?:geh|lauf|läuf)\w*|\b(?:geht|läuft) (?:\w+ )?(?:herum|umher)\b",
        (ENTER, MOVE),
    ),
    ("移动|走动|活动|运动|动静|动了|在动|有动|动弹|晃动", (ENTER, MOVE)),
)

# These count only where nothing above was found: where somebody is, rather than what he does.
HINTS: tuple[tuple[str, Kinds], ...] = (
    (r"\b(?:parcel|package|deliver)\w*", (ENTER, CHANGED)),
    (r"\b(?:paket|päckchen|lieferung|geliefert|zugestellt)\w*", (ENTER, CHANGED)),
    ("包裹|快递|外卖", (ENTER, CHANGED)),
    (
        r"\b{someone}(?: is| are|'s| stands| waits)? (?:at|in|on|near|outside|inside|behind|there|here)\b"
        r"|\bthere (?:is|are) (?:an? )?{someone}\b|\b(?:at|by|outside) the (?:\w+ )?(?:door|gate)\b"
        r"|\b(?:see|spot|detect|notice)s? (?:an? )?{someone}\b",
        (ENTER,),
    ),
    (
        r"\b{jemand} (?:\w+ )?(?:da|dort|an|am|auf|im|in|vor|bei|hinter) ?\w*|\b(?:an|vor) der (?:\w+)?tür\b"
        r"|\b(?:am|vor dem) tor\b",
        (ENTER,),
    ),
    (
        "(?:门口|门外|屋里|家里|院子里?|花园里?|房间里?)有|有(?:人|陌生人|客人)(?=$|时|就|的时候|在(?:门|屋|家|院|花园|房|外|里|这|那|楼|店)|告诉|提醒|通知)",
        (ENTER,),
    ),
)

ANYTHING = (
    r"\b(?:tell|report|say|show|announce|alert)\w* (?:me )?(?:about )?everything\b"
    r"|\beverything (?:else|that)\b|\b(?:anything|whatever) (?:else )?happens\b"
    r"|\ball (?:else|events|that happens)\b|\b(?:sag|meld|erzähl|bericht)\w* (?:mir )?alles\b"
    r"|\balles (?:andere|was|passiert)\b|\birgend ?etwas passiert\b|\bwas auch immer\b|一切|所有(?:事|情况|变化|动静)"
    "|任何(?:事|情况)|什么都|(?:其他|其余|别的).{0,2}都"
)
"""whoever asks for everything gets any kind"""

# ---------------------------------------------------------------------------------------------------------------- not

NO_NEGATION = (
    r"\bnot (?:only|just)\b|\bnicht (?:nur|bloss)\b|不仅|不只|不光|有没有|是不是|\bno\. ?\d|\bwhy not\b|\bor not\b"
    r"|\b(?:no matter (?:if|whether|how)|whether or not|even (?:if|when))\b[^,.;]*|\begal (?:ob|wie)\b[^,.;]*"
    r"|不管[^，。,]*|\b(?:not|don't|dont|never) (?:forget|fail|miss)\b|\bvergiss nicht\b"
    r"|\bnicht (?:vergessen|verpassen)\b|(?:别|不要)(?:忘|错过)"
)
"""looks like a negation and is none, or names what does not matter"""
NEGATIONS = (
    r"\b(?:not|no|nobody|noone|none|never|nothing|nor|neither|cannot|\w+n't|nicht|niemand\w*|nichts|kein\w*"
    r"|nie|niemals)\b"
    "|没有|没|无|不再|不|未"
)
NEGATIONS_AFTER = r"[ ,]+(?:sich )?(?:\w+ )?(?:nicht|niemand\w*|nichts|kein\w*|nie|niemals)\b"
"""German says the verb first: "es kommt niemand" """
NEGATED: dict[Kinds, Kinds] = {
    (ENTER, MOVE): (STILL,),
    (MOVE,): (STILL,),
    (STILL,): (MOVE,),
    (DARK,): (CHANGED,),
    (COVERED,): (CHANGED,),
}
"""What is meant when a negation stands before it; what is missing here cannot be told by kinds."""

LEFT_OUT = (
    r"\b(?:not|don't|dont|never|no need to|stop|doesn't|needn't) (?:\w+ ){0,2}?(?:tell|report|say|alert|notif"
    r"|warn|inform|mention|bother|speak|announc|care|interest)\w*"
    r"|\b(?:tell|report|say|announce)\w* (?:me )?nothing\b|\bignor\w+|\bexcluding\b|\binstead of\b"
    r"|\brather than\b|\b(?:not|never) (?:when\w*|if|about|for)\b|^(?:and |or |but )*(?:not|never)\b"
    r"|\bleave out\b"
    r"|\b(?:nicht|nie|niemals|kein\w*) (?:\w+ ){0,2}?(?:sag|meld|bescheid|erzähl|bericht|warn|benachrichtig"
    r"|alarm)\w*"
    r"|\b(?:sag|meld|erzähl|bericht|warn|benachrichtig|gib)\w* (?:\w+ ){0,3}?(?:nicht|nichts|keine?)\b"
    r"|\bignorier\w*|\b(?:an)?statt\b|\bnicht (?:wenn|falls|dass|bei)\b|^(?:und |oder |aber )*nicht\b"
    "|(?:不要|不用|不必|别|无需|不需要|不想)[^，。,]{0,14}?(?:告诉|通知|提醒|报|说|叫|管)|忽略|不包括|不算|^(?:而|但)*不是|而不是"
)
"""a clause like this names what is not to be told"""
EXCEPT = (
    r"\bexcept\b|\bunless\b|\bapart from\b|\bother than\b|\bausser\b(?! sicht)|\bausgenommen\b|\bes sei denn\b"
    "|除了|除非"
)
"""turns round what was said before"""
TELLS = (
    r"\b(?:tell|let me know|report|say|alert|notify|warn|inform|only|just|but)\b"
    r"|\b(?:sag|meld|erzähl|bericht|warn|benachrichtig|nur|sondern|aber|lass)\w*|告诉|通知|提醒|报告|说|只|但|而"
)
"""begins what is to be told"""
ONLY_ZH = r"除了(?=[^。]{1,30}(?:不要|别|不用|不必)[^。]{0,4}(?:告诉|通知|提醒|报|说))"
SENTENCE_ENDS = r"[.!?。！？\n;；]+"
CLAUSE_ENDS = (
    r"[,，、:：—–()]+|(?=\b(?:but|and not|or not|aber|sondern|und nicht|and (?:tell|let|report|alert|notify))\b)"
    r"|(?=\b(?:except|unless|ignor|instead of|not (?:when|if)|nicht (?:wenn|falls)|es sei denn)\b)"
    r"|(?=\bausser (?!sicht))|(?=但|而是|而不|除了|除非|不要|别(?:告|通|提|报|说|管)|忽略)"
)

# --------------------------------------------------------------------------------------------------------- characters

SIMPLIFIED = str.maketrans(
    "來進門開關離動燈畫擋聲響報時訴鏡頭攝機視頻圖滅電誰請後們現從當還沒無個車別東變發見過會間幾嗎為麼說給"
    "馬邊場靜煙災確凍結蓋遠經寶員遞鎖戶陽陰槍長記訪達陸續鄰親媽爺兒歲應該異樣況隻雙嚇試監測獨臥廳廚樓階遺"
    "並於喚夠講話讓這裡裏麗轉換掛貓鳥暫寫爾劇劃灑濕亂騷壓壞斷塊墊黃傾",
    "来进门开关离动灯画挡声响报时诉镜头摄机视频图灭电谁请后们现从当还没无个车别东变发见过会间几吗为么说给"
    "马边场静烟灾确冻结盖远经宝员递锁户阳阴枪长记访达陆续邻亲妈爷儿岁应该异样况只双吓试监测独卧厅厨楼阶遗"
    "并于唤够讲话让这里里丽转换挂猫鸟暂写尔剧划洒湿乱骚压坏断块垫黄倾",
)
"""Traditional characters of such sentences, and what the lists have for them: what understands speech writes either."""
