"""Sentences that the server says itself about what it noted and remembers, in English, German and Chinese."""

from __future__ import annotations

from joyvl_server.core.watches.kinds import Kinds, WatchKind

Words = dict[str, str]

HAPPENED: dict[str, dict[WatchKind, str]] = {
    "en": {
        WatchKind.ENTER: "something came in", WatchKind.LEAVE: "something left",
        WatchKind.MOVE: "something moved again",
        WatchKind.STILL: "something stayed still", WatchKind.CHANGED: "the scene changed",
        WatchKind.DARK: "it got dark",
        WatchKind.COVERED: "the camera was covered", WatchKind.FROZEN: "the picture froze",
        WatchKind.SMOKE_ALARM: "a smoke alarm sounded", WatchKind.CO_ALARM: "a carbon monoxide alarm sounded",
        WatchKind.LOUD: "there was a loud noise", WatchKind.QUIET: "it was silent for long",
    },
    "de": {
        WatchKind.ENTER: "kam etwas herein", WatchKind.LEAVE: "verließ etwas das Bild",
        WatchKind.MOVE: "bewegte sich etwas wieder", WatchKind.STILL: "stand etwas still",
        WatchKind.CHANGED: "änderte sich das Bild", WatchKind.DARK: "wurde es dunkel",
        WatchKind.COVERED: "war die Kamera verdeckt", WatchKind.FROZEN: "stand das Bild",
        WatchKind.SMOKE_ALARM: "war ein Rauchmelder zu hören", WatchKind.CO_ALARM: "war ein CO-Melder zu hören",
        WatchKind.LOUD: "war es plötzlich laut", WatchKind.QUIET: "war es lange still",
    },
    "zh": {
        WatchKind.ENTER: "有东西进来", WatchKind.LEAVE: "有东西离开", WatchKind.MOVE: "有东西又动了",
        WatchKind.STILL: "有东西停住不动", WatchKind.CHANGED: "画面有变化", WatchKind.DARK: "变暗",
        WatchKind.COVERED: "镜头被遮住", WatchKind.FROZEN: "画面卡住", WatchKind.SMOKE_ALARM: "烟雾报警器响",
        WatchKind.CO_ALARM: "一氧化碳报警器响", WatchKind.LOUD: "有很大的响声", WatchKind.QUIET: "长时间安静",
    },
}  # fmt: skip
THAT_DE: dict[WatchKind, str] = {
    WatchKind.ENTER: "etwas hereinkam", WatchKind.LEAVE: "etwas das Bild verließ",
    WatchKind.MOVE: "sich etwas wieder bewegte", WatchKind.STILL: "etwas still stand",
    WatchKind.CHANGED: "sich das Bild änderte", WatchKind.DARK: "es dunkel wurde",
    WatchKind.COVERED: "die Kamera verdeckt war", WatchKind.FROZEN: "das Bild stand",
    WatchKind.SMOKE_ALARM: "ein Rauchmelder zu hören war", WatchKind.CO_ALARM: "ein CO-Melder zu hören war",
    WatchKind.LOUD: "es plötzlich laut war", WatchKind.QUIET: "es lange still war",
}  # fmt: skip
"""after "dass" """
_ANYTHING = {"en": "something happened", "de": "geschah etwas", "zh": "有事发生"}
_OR = {"en": " or ", "de": " oder ", "zh": "或"}

SENTENCES: dict[str, Words] = {
    "en": {
        "count": "From what I noted, {what} {times}{when}: {list}.",
        "none": "I noted no time when {that}{when}.",
        "nothing": "I noted nothing{when}.",
        "nth": "From what I noted, the {nth} time {what} was at {at}.",
        "last": "From what I noted, the last time {what} was at {at}.",
        "too_few": "From what I noted, {what} only {times}{when}: {list}. There was no {nth} time.",
        "listed": "From what I noted{when}: {list}.",
        "more": " and {count} earlier",
        "things": " This engine sees that something moves, not what it is: two people may be one entry.",
        "unknown": " I don't know when “{words}” was, so that part is left out.",
        "day": ", in the last 24 hours", "meant": ", between {list}", "and": "{start} and {end}",
        "broken": "I can't look it up now: what I noted cannot be read.",
        "remembered": "I will remember: {fact}", "forgot": "I have forgotten {which}.",
        "forgetting": "That takes a while. I am still forgetting it.",
        "not_forgotten": "I could not forget that. {why}",
        "unremembered": "I have taken that back: I no longer remember it.",
        "not_kept": "I could not write that down, so I don't remember it. {why}",
        "forgot_all": "I have forgotten everything that I saw, heard and remembered here.",
        "no_fact": "I remember nothing like that.",
        "only_facts": "I find nothing like that among the facts that I was told, and when asked I forget only those. "
        "What I saw and heard at a time is deleted by an admin, under Timeline.",
        "not_yours": "Only an admin may have everything forgotten. I have left it as it was.",
        "which": "I remember this: {list}. Shall I forget {all}? Say yes or no.",
        "all_of_it": "Shall I forget everything that I saw, heard and remember here: {count} memories, and all events, "
        "pictures, clips and alerts? That cannot be undone. Say yes or no.",
        "left": "I have left it as it was.", "undone": "I have taken that back, and remember it again: {fact}",
        "nothing_to_undo": "There is nothing to take back.", "it": "it", "them": "all of them",
        "late": "Asked without memories: they did not come in time.",
        "without": "Asked without memories: they cannot be read now.",
    },
    "de": {
        "count": "Nach dem, was ich notiert habe, {what}{when} {times}: {list}.",
        "none": "Ich habe{when} nicht notiert, dass {that}.",
        "nothing": "Ich habe{when} nichts notiert.",
        "nth": "Nach dem, was ich notiert habe, {what} zum {nth} Mal um {at}.",
        "last": "Nach dem, was ich notiert habe, {what} zuletzt um {at}.",
        "too_few": "Nach dem, was ich notiert habe, {what}{when} nur {times}: {list}. Ein {nth} Mal gab es nicht.",
        "listed": "Das habe ich{when} notiert: {list}.",
        "more": " und {count} frühere",
        "things": " Diese Engine sieht, dass sich etwas bewegt, nicht was: Zwei Menschen können ein Eintrag sein.",
        "unknown": " Wann „{words}“ war, weiß ich nicht; das ist nicht berücksichtigt.",
        "day": " in den letzten 24 Stunden", "meant": " zwischen {list}", "and": "{start} und {end}",
        "broken": "Ich kann gerade nicht nachsehen: Was ich notiert habe, lässt sich nicht lesen.",
        "remembered": "Ich merke mir: {fact}", "forgot": "Ich habe {which} vergessen.",
        "forgetting": "Das dauert eine Weile. Ich bin noch dabei, es zu vergessen.",
        "not_forgotten": "Das konnte ich nicht vergessen. {why}",
        "unremembered": "Ich habe das zurückgenommen und merke es mir nicht mehr.",
        "not_kept": "Das konnte ich nicht aufschreiben, also merke ich es mir nicht. {why}",
        "forgot_all": "Ich habe alles vergessen, was ich hier gesehen, gehört und mir gemerkt hatte.",
        "no_fact": "So etwas habe ich mir nicht gemerkt.",
        "only_facts": "So etwas finde ich nicht unter dem, was man mir gesagt hat, und auf Wunsch vergesse ich nur "
        "das. Was ich zu einer Zeit gesehen und gehört habe, löscht ein Admin unter Timeline.",
        "not_yours": "Alles vergessen lassen darf nur ein Admin. Ich habe es gelassen, wie es war.",
        "which": "Das habe ich mir gemerkt: {list}. Soll ich {all} vergessen? Sag ja oder nein.",
        "all_of_it": "Soll ich alles vergessen, was ich hier gesehen, gehört und mir gemerkt habe: {count} "
        "Erinnerungen und alle Ereignisse, Bilder, Clips und Alarme? Das lässt sich nicht rückgängig machen. "
        "Sag ja oder nein.",
        "left": "Ich habe es gelassen, wie es war.",
        "undone": "Ich habe das zurückgenommen und merke es mir wieder: {fact}",
        "nothing_to_undo": "Es gibt nichts zurückzunehmen.", "it": "das", "them": "das alles",
        "late": "Ohne Erinnerungen gefragt: Sie kamen nicht rechtzeitig.",
        "without": "Ohne Erinnerungen gefragt: Sie lassen sich gerade nicht lesen.",
    },
    "zh": {
        "count": "根据我的记录，{when}{what}{times}：{list}。",
        "none": "{when}我没有记录到{that}。",
        "nothing": "{when}我没有记录到任何事。",
        "nth": "根据我的记录，第{nth}次{what}是在{at}。",
        "last": "根据我的记录，最后一次{what}是在{at}。",
        "too_few": "根据我的记录，{when}{what}只有{times}：{list}。没有第{nth}次。",
        "listed": "{when}我记录到：{list}。",
        "more": "，之前还有{count}次",
        "things": "这个引擎只看得出有东西在动，看不出是什么：两个人可能算作一次。",
        "unknown": "我不知道“{words}”是什么时候，所以没有考虑这一点。",
        "day": "过去24小时内，", "meant": "{list}之间，", "and": "{start}到{end}",
        "broken": "现在查不了：我的记录读不出来。",
        "remembered": "我记住了：{fact}", "forgot": "我已经忘记{which}。",
        "forgetting": "这需要一点时间，我还在忘记它。",
        "not_forgotten": "没能忘记。{why}", "unremembered": "我已经撤回，不再记得它。",
        "not_kept": "没能记下来，所以我不会记得。{why}",
        "forgot_all": "我已经忘记在这里看到、听到和记住的一切。",
        "no_fact": "我没有记过这样的事。",
        "only_facts": "在别人告诉我的事里我没有找到这个，而我只能按要求忘记这些事。"
        "某段时间看到和听到的，由管理员在 Timeline 里删除。",
        "not_yours": "只有管理员可以让我忘记一切。我没有改动。",
        "which": "我记得这些：{list}。要我忘记{all}吗？请说是或不。",
        "all_of_it": "要我忘记在这里看到、听到和记住的一切吗？包括{count}条记忆，以及所有事件、图片、录像和警报。"
        "无法撤销。请说是或不。",
        "left": "我没有改动。", "undone": "我已经撤回，又记住了：{fact}",
        "nothing_to_undo": "没有可以撤回的。", "it": "它", "them": "全部",
        "late": "提问时没有带上记忆：没有及时取到。",
        "without": "提问时没有带上记忆：现在读不出来。",
    },
}  # fmt: skip
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]


def say(language: str, key: str, **values: object) -> str:
    """A sentence; `language` is en, de or zh."""
    return SENTENCES[language][key].format(**values)


def happened(language: str, kinds: Kinds) -> str:
    """ "something came in or something left"."""
    words = HAPPENED[language]
    return _OR[language].join(words[kind] for kind in kinds) if kinds else _ANYTHING[language]


def that(language: str, kinds: Kinds) -> str:
    """The same after "that", at least one kind."""
    return _OR["de"].join(THAT_DE[kind] for kind in kinds) if language == "de" else happened(language, kinds)


def times(language: str, count: int) -> str:
    if language == "en":
        return {1: "once", 2: "twice"}.get(count, f"{count} times")
    return f"{count}-mal" if language == "de" else f"{count}次"


def nth(language: str, number: int) -> str:
    if language == "en":
        if number <= len(_ORDINALS):
            return _ORDINALS[number - 1]
        tail = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
        return f"{number}{tail}"
    return f"{number}." if language == "de" else str(number)


def listed(language: str, items: list[str], more: int = 0) -> str:
    joined = ("、" if language == "zh" else ", ").join(items)
    return joined + (say(language, "more", count=more) if more else "")
