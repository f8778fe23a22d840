from joyvl_server.store import idempotency as idempotency_module
from joyvl_server.store.idempotency import KEPT_S, IdempotencyKeys

ANSWER = (201, {"location": "/v1/cameras/cam_1"}, b'{"id": "cam_1"}', "sha")


async def test_an_answer_comes_back_as_it_was(db):
    kept = IdempotencyKeys(db)
    assert await kept.get("k", "POST /v1/cameras") is None
    await kept.put("k", "POST /v1/cameras", *ANSWER, now=1000.0)
    answer = await kept.get("k", "POST /v1/cameras", now=1000.0)
    assert (answer.status, answer.headers, answer.body, answer.body_hash) == ANSWER
    assert (answer.key, answer.route, answer.created_wall) == ("k", "POST /v1/cameras", 1000.0)


async def test_keys_are_of_one_route(db):
    kept = IdempotencyKeys(db)
    await kept.put("k", "a", *ANSWER)
    assert await kept.get("k", "b") is None
    assert await kept.get("other", "a") is None


async def test_the_first_answer_stays(db):
    kept = IdempotencyKeys(db)
    await kept.put("k", "a", *ANSWER)
    await kept.put("k", "a", 500, {}, b"", "other")
    assert (await kept.get("k", "a")).status == 201


async def test_answers_expire_after_a_day(db):
    kept = IdempotencyKeys(db)
    await kept.put("k", "a", *ANSWER, now=1000.0)
    assert await kept.get("k", "a", now=1000.0 + KEPT_S - 1) is not None
    assert await kept.get("k", "a", now=1000.0 + KEPT_S) is None
    await kept.put("k", "a", 202, {}, b"new", "sha", now=1000.0 + KEPT_S)
    assert (await kept.get("k", "a", now=1000.0 + KEPT_S)).status == 202


async def test_nobody_pushes_out_the_answers_of_others(db, monkeypatch):
    monkeypatch.setattr(idempotency_module, "KEPT_OF_CALLER", 3)
    kept = IdempotencyKeys(db)
    await kept.put("ann:k", "a", *ANSWER, now=1000.0)
    await kept.put("ann2:k", "a", *ANSWER, now=1000.0)
    for n in range(9):
        await kept.put(f"bob:{n}", "a", *ANSWER, share="bob:", now=1001.0 + n)
    assert [n for n in range(9) if await kept.get(f"bob:{n}", "a", now=1010.0)] == [6, 7, 8]
    assert await kept.get("ann:k", "a", now=1010.0)
    assert await kept.get("ann2:k", "a", now=1010.0)


async def test_without_a_share_only_all_together_are_bounded(db, monkeypatch):
    monkeypatch.setattr(idempotency_module, "KEPT_OF_CALLER", 3)
    kept = IdempotencyKeys(db)
    for n in range(9):
        await kept.put(f"local:{n}", "a", *ANSWER, now=1001.0 + n)
    assert all([await kept.get(f"local:{n}", "a", now=1010.0) for n in range(9)])


async def test_answers_are_bounded(db, monkeypatch):
    monkeypatch.setattr(idempotency_module, "KEPT", 5)
    kept = IdempotencyKeys(db)
    for n in range(9):
        await kept.put(f"k{n}", "a", *ANSWER, now=1000.0)
    left = [n for n in range(9) if await kept.get(f"k{n}", "a", now=1000.0)]
    assert left == [4, 5, 6, 7, 8]
