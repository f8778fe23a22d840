"""What the words of a watch name, in three languages, and the vocabulary of kinds."""

from __future__ import annotations

import pytest

from joyvl_server.core.errors import ConfigError
from joyvl_server.core.watches import kind_words, sound_words
from joyvl_server.core.watches.kinds import HAPPENINGS, PICTURES, SOUNDS, WatchKind, in_words, read_kinds, wants
from joyvl_server.core.watches.named_kinds import named_kinds

ENGLISH = """
smoke_alarm | Tell me when the smoke alarm goes off
smoke_alarm | Tell me if a fire alarm sounds
smoke_alarm | Alert me when a smoke detector beeps
co_alarm | Tell me when the carbon monoxide alarm sounds
co_alarm | Tell me when the CO alarm goes off
smoke_alarm,co_alarm | Tell me when a smoke alarm or a CO alarm sounds
loud | Tell me when there is a loud noise
loud | Tell me when it gets loud
loud | Tell me if you hear a bang
quiet | Tell me when it goes quiet
quiet | Tell me when it has been silent for a long time
enter,loud | Tell me when someone comes in or there is a loud noise
any | Tell me when someone wears a loud shirt
any | Tell me when someone lights a fire
any | Tell me when there is smoke
still | Tell me when someone stands still
enter | Tell me when someone comes in
enter | Tell me when somebody comes to the door
enter | Tell me when someone arrives
enter | someone at the door
enter | Alert me if anybody enters the garden.
enter | Tell me each time a person enters the room.
enter | Let me know as soon as the postman is at the gate
enter | Tell me when a car pulls into the driveway
enter | Watch for burglars
enter | Tell me when you see someone
enter | Tell me when my daughter comes home
leave | Tell me when someone leaves
leave | when everybody has left
leave | Tell me when the last person has gone home
leave | Tell me when the car drives away
leave | the guest goes out
enter,leave | Tell me what comes and goes
enter,leave | Tell me when someone comes in or leaves
enter,leave | Tell me about comings and goings
enter,leave | Tell me when someone enters or exits the room
enter,move | Tell me when something moves
enter,move | Tell me about any movement
move | Tell me when the baby starts moving again
move | when he gets up
still | Tell me when he stands still
still | Tell me when the machine stops
still | Tell me when the car comes to a stop
still | Tell me when nobody moves
still | Tell me if nothing in the room moves
still | Tell me when the dog does not move any more
still | tell me if she isn't moving
still | somebody loiters
move | Tell me when he no longer stands still
enter,leave,still | Tell me when the coming and going stops
changed | Tell me when something changes
changed | Tell me when my bike is stolen
changed | Tell me when somebody takes the vase
changed | Tell me when the door opens
changed | Tell me when the camera is moved
leave,changed | Tell me when my bicycle disappears
dark | Tell me when it gets dark
dark | when the lights go out
dark | Tell me when somebody switches off the light
changed | Tell me when it is no longer dark
covered | Tell me when the camera is covered
covered | somebody blocks the lens
covered | Warn me about tampering
frozen | Tell me when the picture is frozen
frozen | Tell me if the image freezes
frozen | frozen picture
frozen | Tell me when the video stands still
dark,covered,frozen | Tell me when the camera is covered, it gets dark, or the picture freezes
any | Tell me when someone falls
any | Tell me when a child plays with the dog
any | Tell me what is going on
any | Tell me everything
any | Tell me everything, especially when someone comes in
any | Tell me whatever happens
any | Hello
any | Tell me when nobody comes in
any | Tell me if nobody leaves
enter | Tell me when a man in dark clothes comes in
enter | Tell me when someone with a covered face enters
enter,move | Tell me when the leaves of the tree move
any | Tell me when the leaves fall from the tree
any | Tell me when the bus stop is full
any | Tell me when the lake is frozen
any | Is the light still on the left?
enter | Tell me when someone comes in from the left
enter | Tell me when someone comes in, not when someone leaves
enter | Tell me when someone is at the door, not when someone leaves
enter | Tell me only when someone comes in, don't tell me when someone leaves
enter | Don't tell me when someone leaves, tell me when someone comes in
enter | Tell me when someone comes in but ignore people leaving
enter | Not when someone leaves, only when someone arrives!
all but leave | Don't tell me when someone leaves
all but leave | Tell me everything except when someone leaves
all but enter,leave | Don't report people coming in, people leaving
enter | Don't tell me anything unless someone comes in
enter | Tell me nothing except when someone comes in
enter,leave | Tell me not only when someone comes in but also when someone leaves
any | Tell me when someone comes in, but nobody leaves
enter | TELL ME WHEN SOMEONE COMES IN!!!
enter | Don’t tell me when someone leaves, just when someone comes
any | Avísame cuando entre alguien
any | Tell me when the train stops being late and nobody leaves
enter | Tell me when the mail arrives at the exit
any | Who is that?
leave | Tell me when the cat goes out the door
enter | Tell me when the cat jumps over the fence
enter | Tell me when my kids return from school
enter | Warn me of intruders
any | Tell me when someone is fighting in the garden
any | Tell me when someone smokes
dark | Tell me when the room is dark
enter | Don't forget to tell me when someone comes in
enter | Never fail to tell me when someone enters
enter | Tell me when someone, for example the postman, arrives.
enter | when someone arrives; never when someone leaves
enter | Tell me when someone comes in, whether or not it is dark
"""

GERMAN = """
smoke_alarm | Sag mir, wenn der Rauchmelder piept
smoke_alarm | Melde, wenn der Feueralarm losgeht
co_alarm | Sag Bescheid, wenn der CO-Melder anschlägt
loud | Sag mir, wenn es laut wird
loud | Sag mir, wenn ein lautes Geräusch zu hören ist
quiet | Sag mir, wenn es lange still ist
quiet | Sag mir, wenn nichts mehr zu hören ist
enter | Sag mir, wenn jemand kommt
enter | Sag Bescheid, wenn jemand hereinkommt
enter | jemand kommt
enter | Melde, wenn jemand das Zimmer betritt
enter | Sag mir, wenn jemand an der Tür ist
enter | Wenn jemand zur Tür reinkommt
enter | Sag mir, wenn ein Auto vorfährt
enter | Sag mir, sobald jemand ankommt
enter | Sag mir, wenn Besuch kommt
enter | Ist ein Einbrecher da?
enter | Sag mir, wenn jemand in den Garten geht
leave | Sag mir, wenn jemand geht
leave | Sag mir, wenn jemand den Raum verlässt
leave | Sag mir, wenn jemand den Raum verlaesst
leave | Sag mir, wenn der Gast weggeht
leave | Sag mir, wenn das Auto wegfährt
leave | Sag mir, wenn alle gegangen sind, also wenn der Letzte das Haus verlassen hat
enter,leave | Sag mir, wenn jemand kommt oder geht
enter,leave | Melde Kommen und Gehen
enter,move | Sag mir, wenn sich etwas bewegt
enter,move | Melde jede Bewegung
move | Sag mir, wenn sich etwas wieder bewegt
still | Sag mir, wenn jemand stehen bleibt
still | jemand bleibt stehen
still | Sag mir, wenn sich nichts mehr bewegt
still | Sag mir, wenn er sich nicht bewegt
still | Es bewegt sich niemand
still | Sag mir, wenn die Maschine stillsteht
still | Sag mir, wenn der Wagen zum Stehen kommt
changed | Sag mir, wenn sich etwas verändert
changed | Sag mir, wenn mein Fahrrad gestohlen wird
changed | Sag mir, wenn die Tür geöffnet wird
leave,changed | Sag mir, wenn das Fahrrad verschwindet
dark | Sag mir, wenn es dunkel wird
dark | wenn das Licht ausgeht
covered | Sag mir, wenn die Kamera verdeckt ist
covered | Wenn jemand die Linse zuhält
frozen | Sag mir, wenn das Bild eingefroren ist
frozen | wenn das Bild stehen bleibt
frozen | wenn die Kamera hängt
enter | Sag mir, wenn ein Mann mit dunkler Jacke kommt
enter | Sag mir, wenn im Dunkeln jemand kommt
any | Sag mir, wenn niemand kommt
any | Sag mir, wenn jemand stürzt
any | Sag mir, wenn es still ist
enter | Sag mir, wenn jemand kommt, nicht wenn jemand geht
enter | Sag mir nicht, wenn jemand geht, sondern wenn jemand kommt
enter | Sag mir, wenn jemand kommt, aber nicht, wenn jemand geht
all but leave | Melde alles außer wenn jemand geht
any | Sag mir alles, was passiert
any | Sag mir, worum es geht
any | Wenn jemand etwas bekommt
enter | Sag mir Bescheid wenn der Postbote klingelt
enter | Sag mir, wenn die Kinder nach Hause kommen
enter | Sag mir, wenn jemand näher kommt
leave | Sag mir, wenn die Katze rausläuft
any | Sag mir, wenn jemand raucht
enter,leave | Sag mir nicht nur, wenn jemand kommt, sondern auch, wenn jemand geht
any | Erzähl mir etwas
enter | Vergiss nicht, mir zu sagen, wenn jemand kommt
"""

CHINESE = """
smoke_alarm | 烟雾报警器响了告诉我
smoke_alarm | 火灾警报响起时提醒我
co_alarm | 一氧化碳报警器响的时候告诉我
loud | 有很大的声音时告诉我
loud | 听到巨响通知我
quiet | 很久没有声音时告诉我
any | 有烟雾时告诉我
any | 发生火灾时告诉我
enter | 有人进来时告诉我
enter | 有人进来
enter | 门口有人时告诉我
enter | 有人来了告诉我
enter | 看到有人闯入就提醒我
enter | 有人走了进来
enter | 看看有没有人进来
leave | 有人离开时告诉我
leave | 离开
leave | 客人走了告诉我
enter,leave | 有人进出时告诉我
enter,leave | 有人进来或离开时告诉我
enter,move | 有东西移动时告诉我
enter,move | 有动静就告诉我
still | 他停下来的时候告诉我
still | 如果他一动不动，告诉我
still | 没有人走动时告诉我
changed | 有变化告诉我
changed | 自行车被偷了告诉我
leave,changed | 包消失了告诉我
dark | 天黑了告诉我
dark | 灯灭了告诉我
covered | 镜头被挡住时告诉我
covered | 摄像头被遮挡
frozen | 画面卡住时告诉我
frozen | 画面不动了告诉我
any | 有动物时看看它在吃什么
any | 没有人进来时告诉我
enter | 有人进来时告诉我，不要告诉我有人离开
enter | 不要在有人离开时告诉我，只在有人进来时告诉我
enter | 除了有人进来，其他不要告诉我
all but leave | 除了有人离开，其他都告诉我
any | 什么都告诉我
any | 有人摔倒时告诉我
enter | 穿黑衣服的人进来时告诉我
enter | 家里来人了告诉我
enter | 快递员到门口了告诉我
leave | 孩子出门了告诉我
still | 有人在门口徘徊时提醒我
any | 有人抽烟时告诉我
enter | 别忘了在有人进来时告诉我
"""


def rows(table: str) -> list[tuple[str, str]]:
    """(kinds as written, sentence); a sentence may be empty or blank."""
    return [tuple(line.split(" | ", 1)) for line in table.strip("\n").splitlines()]  # type: ignore[misc]


def kinds(written: str) -> set[str]:
    if written == "any":
        return set()
    if written.startswith("all but "):
        return {str(kind) for kind in PICTURES} - set(written.removeprefix("all but ").split(","))
    return set(written.split(","))


@pytest.mark.parametrize(("want", "text"), [*rows(ENGLISH), *rows(GERMAN), *rows(CHINESE)])
def test_the_kinds_that_a_text_names(want: str, text: str) -> None:
    assert set(named_kinds(text)) == kinds(want)


@pytest.mark.parametrize("language", [ENGLISH, GERMAN, CHINESE])
def test_every_language_has_words_for_every_kind(language: str) -> None:
    assert set().union(*(kinds(want) for want, _ in rows(language) if not want.startswith("all"))) == set(WatchKind)


def test_no_pattern_needs_upper_case() -> None:
    """Texts and patterns are folded alike, so a class such as \\W would become \\w."""
    patterns = [pattern for pattern, _ in (*sound_words.PHRASES, *kind_words.PHRASES, *kind_words.HINTS)]
    patterns += [value for name, value in vars(kind_words).items() if name.isupper() and isinstance(value, str)]
    assert not [p for p in patterns if any(c.isupper() for c in p)]


@pytest.mark.parametrize("text", ["", "   ...!!!", "\0", "，。", "not", "don't tell me", "不要告诉我"])
def test_hardly_a_text_names_nothing(text: str) -> None:
    assert named_kinds(text) == ()


def test_the_rest_of_a_long_text_is_not_read() -> None:
    assert named_kinds("x " * 600 + "someone comes in") == ()


def test_a_kind_of_the_engine_and_what_a_watch_wants() -> None:
    only_enter = (WatchKind.ENTER,)
    assert wants(only_enter, "enter")
    assert not wants(only_enter, "leave")
    assert wants(only_enter, None)
    assert wants((), "leave")
    assert wants((), "a kind of a plug-in")
    assert not wants(only_enter, "a kind of a plug-in")
    assert wants((WatchKind.CHANGED,), "camera_moving")


def test_kinds_in_words() -> None:
    assert in_words(()) == "at anything"
    assert in_words((WatchKind.ENTER,)) == "when something comes in"
    three = (WatchKind.ENTER, WatchKind.LEAVE, WatchKind.DARK)
    assert in_words(three) == "when something comes in, something goes away or it gets dark"
    assert set(HAPPENINGS) == set(WatchKind) == {*PICTURES, *SOUNDS}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (None, None),
        ("any", ()),
        ("leave, enter,leave", (WatchKind.ENTER, WatchKind.LEAVE)),
        ("DARK", (WatchKind.DARK,)),
    ],
)
def test_kinds_as_written_on_a_command_line(text: str | None, want: object) -> None:
    assert read_kinds(text) == want


@pytest.mark.parametrize("text", ["", ",", "enter,sleep", "any,enter"])
def test_kinds_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"any, or some of enter, leave"):
        read_kinds(text)
