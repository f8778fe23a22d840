"""Search by words: what is found is what holds the words, whatever the text and whatever is typed."""

import asyncio
import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_records import drained, event

from joyvl_server.store.events import EventFilter, Events
from joyvl_server.store.sqlite.database import Database
from joyvl_server.store.words import match_expression, spaced

WORDS = ("dog", "door", "parcel", "smoke", "Ünder", "x1", "42")
CHARS = "狗门口包裹快递员厨房烤箱的在了"


def texts(draw):
    parts = []
    for _ in range(draw.randint(0, 8)):
        parts.append(draw.choice(WORDS) if draw.random() < 0.5 else "".join(draw.choices(CHARS, k=draw.randint(1, 4))))
        parts.append(draw.choice((" ", ", ", "。", "-", "\n")))
    return "".join(parts)


def holds(text, query):
    """By hand: every word of the query, or piece in Chinese, is somewhere in the text."""
    padded = f" {spaced(text)} ".lower()
    for mark in ",。-":
        padded = padded.replace(mark, " ")
    padded = " ".join(padded.split()).join("  ")
    return all(f" {spaced(word)} ".lower() in padded for word in query.split())


@pytest.fixture
async def timeline(db):
    """600 events over three cameras, two types, four watches and 200 days, some kept."""
    events, draw, made = Events(db), random.Random(5), []
    for n in range(600):
        made.append(
            event(
                session_id=f"ses_{n % 2}",
                camera_id=f"cam_{draw.randrange(3)}",
                type=draw.choice(("spoke", "watch_fired")),
                wall=1.8e9 + draw.randrange(200 * 86_400),
                text=texts(draw),
                data={"watches": draw.sample(["wch_0", "wch_1", "wch_2", "wch_3"], draw.randrange(3))},
                kept=draw.random() < 0.2,
            )
        )
        events.post(made[-1])
    await drained(db)
    return events, made


@pytest.mark.parametrize("seed", range(6))
async def test_it_finds_what_looking_through_all_of_them_finds(timeline, seed):
    events, made = timeline
    draw = random.Random(seed)
    for _ in range(12):
        await find(events, made, draw)


async def find(events, made, draw):
    query = " ".join(
        draw.choice(WORDS) if draw.random() < 0.5 else "".join(draw.choices(CHARS, k=draw.choice((1, 1, 2))))
        for _ in range(draw.choice((1, 1, 2)))
    )
    begin = 1.8e9 + draw.randrange(200 * 86_400)
    filters = {
        "camera_id": draw.choice((None, None, "cam_1")),
        "session_id": draw.choice((None, None, "ses_0")),
        "types": draw.choice(((), ("spoke",), ("spoke", "watch_fired", "task"))),
        "watch_id": draw.choice((None, None, None, "wch_2")),
        "kept": draw.choice((None, None, True, False)),
        "since": draw.choice((None, begin)),
        "until": draw.choice((None, begin + draw.choice((3600, 86_400, 90 * 86_400)))),
    }
    wanted = EventFilter(**filters)
    expected = [one for one in reversed(made) if wanted.matches(one) and holds(one.text, query)]
    seen, before = [], None
    while page := await events.list(EventFilter(words=query, **filters), limit=7, before=before):
        seen += page
        before = page[-1].id
    assert seen == expected, query


async def test_forms_of_a_word_names_of_watches_and_questions_are_found(db):
    events = Events(db)
    events.post(
        event(
            text="Two couriers were delivering parcels", data={"watch_names": ["Front door", ""], "watches": ["wch_1"]}
        )
    )
    events.post(event(text="", type="delegated", data={"question": "which bird is this?"}))
    events.post(event(text="Un café en terrasse", data={}))
    await drained(db)
    for query in ("courier", "DELIVERED parcel", "front", "deliv*", "Two co*", "ｐａｒｃｅｌｓ"):
        assert [one.text[:3] for one in await events.list(EventFilter(words=query))] == ["Two"], query
    assert [one.type for one in await events.list(EventFilter(words="bird"))] == ["delegated"]
    assert len(await events.list(EventFilter(words="cafe"))) == 1
    for query in ("cour", "parcel bird", "", "  ", "…", "* *"):
        assert await events.list(EventFilter(words=query)) == [], query


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A loop and a database with a few events, for hypothesis."""
    loop = asyncio.new_event_loop()
    db = loop.run_until_complete(Database.open(tmp_path_factory.mktemp("search") / "joyvl.db"))

    async def fill():
        for text in ("a dog", "一只狗", "AND", "x" * 3000, "\ud800 lone", "tab\tnew\nline", "🐕 dog", "marks : kept"):
            Events(db).post(event(text=text))
        await drained(db)

    loop.run_until_complete(fill())
    yield loop, Events(db), db
    loop.run_until_complete(db.aclose())
    loop.close()


odd = st.text(st.sampled_from("\"'*^:(){}[]-+~ANDORNEAR ,.\0\ud800\u202e狗门a1é\u0301ﬁ𠮷🐕\n\\%_"), max_size=40)


@given(st.one_of(st.text(max_size=60), odd, st.text(max_size=3).map(lambda part: part * 3000)))
def test_whatever_is_typed_is_no_error(searched, query):
    loop, events, db = searched
    expression = match_expression(query)
    assert (expression is None) == (
        not any(unicodedata.category(c)[0] in "LN" for c in unicodedata.normalize("NFKC", query))
    )
    loop.run_until_complete(events.list(EventFilter(words=query)))
    assert db.fault is None


@given(st.text(min_size=1, max_size=60))
def test_any_text_is_kept_and_found_by_its_own_words(searched, text):
    loop, events, db = searched

    async def there_and_back():
        posted = event(text=text, type="heard")
        events.post(posted)
        await drained(db)
        found = await events.list(EventFilter(words=text, types=("heard",)), limit=1000)
        assert (await events.get(posted.id)).id == posted.id
        await events.delete([posted.id])
        return posted, found

    posted, found = loop.run_until_complete(there_and_back())
    known = all(c.isascii() or "\u4e00" <= c <= "\u9fff" for c in text)
    if known and match_expression(text) is not None and "*" not in text:
        assert posted in found
