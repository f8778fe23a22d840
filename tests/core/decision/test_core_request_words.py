"""What somebody wants, by the words alone: from now on, no longer, or just now."""

import time

import pytest

from joyvl_server.core.decision.choices import RequestKind
from joyvl_server.core.decision.request_words import MOST, ended_wish, request_kind
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.named_kinds import named_kinds

FROM_NOW_ON = (
    "Tell me when someone comes.",
    "tell me when somebody comes in",
    "Please tell me when somebody comes to the door!",
    "Let me know as soon as the bus arrives.",
    "Could you let me know when the postman comes?",
    "Warn me if the dog jumps on the sofa.",
    "Tell me if somebody is coming.",
    "When someone comes, tell me",
    "Report whenever the light goes out.",
    "Don't forget to tell me when someone leaves.",
    "Keep an eye on the stove.",
    "From now on say hello to everybody.",
    "Sag mir Bescheid, wenn jemand kommt.",
    "Wenn jemand kommt, sag mir Bescheid",
    "Ab jetzt achte auf die Tür.",
    "有人来的时候告诉我。",
    "有人來的時候告訴我",
    "有人敲门的时候请告诉我。",
    "有人来了告诉我",
    "如果狗跳上沙发就提醒我。",
    "公共汽车到了马上告诉我。",
    "有人进来就叫我一声",
    "从现在起有人来就告诉我",
)
NO_LONGER = (
    "Stop watching the parking lot for today.",
    "Please stop telling me when someone comes.",
    "Don't tell me about the cat any more.",
    "You don't need to watch the door now.",
    "Cancel the watch on the door.",
    "Hör auf, die Tür zu beobachten.",
    "Sag mir nichts mehr, wenn jemand kommt.",
    "不用再看停车场了",
    "今天不用再看停车场了。",
    "不要再告诉我有人来了",
    "不要再告訴我有人來了",
)
JUST_NOW = (
    "",
    "Hello",
    "What colour is the car?",
    "How many people came in while I was away?",
    "When did somebody come?",
    "Tell me when somebody came.",
    "Tell me if the light is on.",
    "Tell me what you see.",
    "What do you say when someone comes?",
    "Did you report anything when I left?",
    "Is the water in the kitchen still running?",
    "Do you watch the door?",
    "Sag mir, was du siehst.",
    "Somebody left the light on in the garage.",
    "Wo ist meine Brille, wenn jemand sie gesehen hat?",
    "有人来了吗？告诉我",
    "告诉我谁来了",
    "告诉我有没有人来",
    "窗户旁边的女人在做什么？",
    "谁关上了客厅的窗户？",
)


@pytest.mark.parametrize(
    ("kind", "texts"),
    [(RequestKind.STANDING, FROM_NOW_ON), (RequestKind.CANCEL, NO_LONGER), (RequestKind.ONCE, JUST_NOW)],
)
def test_words_tell_what_is_wanted(kind: RequestKind, texts: tuple[str, ...]) -> None:
    assert [(text, request_kind(text)) for text in texts] == [(text, kind) for text in texts]


@pytest.mark.parametrize(
    ("said", "kinds"),
    [
        ("Please stop telling me when someone comes", (WatchKind.ENTER,)),
        ("不用再告诉我有人来了", (WatchKind.ENTER,)),
        ("Stop watching the garden", ()),
    ],
)
def test_what_is_to_end_is_said_after_it(said: str, kinds: tuple[WatchKind, ...]) -> None:
    assert named_kinds(ended_wish(said)) == kinds


def test_traditional_characters_name_the_same_kinds() -> None:
    for simplified, traditional in (("有人来的时候告诉我", "有人來的時候告訴我"), ("灯灭了告诉我", "燈滅了告訴我")):
        assert named_kinds(traditional) == named_kinds(simplified) != ()


@pytest.mark.parametrize("piece", ["tell me ", "when ", "if a b ", "告诉我", "有人来", "stop a ", "tell me when "])
def test_long_requests_take_no_time(piece: str) -> None:
    began = time.process_time()
    request_kind(piece * (MOST // len(piece)))
    request_kind(piece * 100_000)
    assert time.process_time() - began < 2
