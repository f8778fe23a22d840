from dataclasses import replace

import pytest
from store_records import session, watch

from joyvl_server.core.errors import Conflict, NotFound
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.store.sessions import Sessions
from joyvl_server.store.watches import Watches


@pytest.fixture
async def home(db):
    record = session()
    await Sessions(db).add(record)
    return record.id


async def test_watches_come_back_as_they_were_oldest_first(db, home):
    made = [watch(home), watch(home, zones=(), threshold=None, paused=True, name="zwei", text="“”\n", query_id="qry_1")]
    made += [watch(home, kinds=()), watch(home, kinds=(WatchKind.ENTER, WatchKind.DARK))]
    for record in made:
        await Watches(db).add(record)
    assert await Watches(db).list(home) == made
    assert await Watches(db).list("ses_other") == []


async def test_kinds_are_those_chosen_or_those_that_the_words_name(db, home):
    assert watch(home, text="Tell me when someone comes in").fires_at == (WatchKind.ENTER,)
    assert watch(home, text="Tell me when someone comes in", kinds=()).fires_at == ()
    assert watch(home, text="Tell me when someone comes in", kinds=(WatchKind.DARK,)).fires_at == (WatchKind.DARK,)


async def test_change_and_remove(db, home):
    first, second = watch(home), watch(home)
    for record in (first, second):
        await Watches(db).add(record)
    kinds = (WatchKind.LEAVE,)
    changed = replace(first, name="n", text="t", zones=("a", "b"), threshold=None, paused=True, kinds=kinds)
    await Watches(db).update(changed)
    assert await Watches(db).list(home) == [changed, second]
    await Watches(db).delete(second.id)
    assert await Watches(db).list(home) == [changed]


async def test_what_is_not_there_and_what_is_there_already(db, home):
    with pytest.raises(NotFound, match="ses_x"):
        await Watches(db).add(watch("ses_x"))
    with pytest.raises(NotFound, match="wch_x"):
        await Watches(db).update(watch(home, id="wch_x"))
    with pytest.raises(NotFound, match="wch_x"):
        await Watches(db).delete("wch_x")
    record = watch(home)
    await Watches(db).add(record)
    with pytest.raises(Conflict, match=record.id):
        await Watches(db).add(record)
