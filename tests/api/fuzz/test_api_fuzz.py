"""Asking the API anything for a minute; what was found to give answers of every kind comes first."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from fakes.fuzzing.call import Answer, Call
from fakes.fuzzing.fuzzer import ELSEWHERE, Fuzzer, read_corpus, wrong
from fakes.fuzzing.values import PLANTED

SECONDS = float(os.environ.get("JOYVL_FUZZ_S") or 60)


@pytest.mark.slow
async def test_no_request_gives_an_error_of_our_own_or_a_stored_secret():
    corpus = read_corpus()
    assert len(corpus) > 100
    seed = int(time.time())
    found = await Fuzzer(seed, corpus).run(SECONDS)
    assert found.broken == [], f"seed {seed}"
    assert found.asked > len(corpus)
    assert found.statuses["201"] > 0, "some requests are right"


def test_what_must_not_be_is_seen():
    call = Call("/v1/cameras", "GET", "/v1/cameras")
    assert wrong(call, Answer(500, {}, b"")) == "an error of our own"
    assert wrong(call, Answer(0, {}, b"")) == "no answer"
    assert wrong(call, Answer(200, {}, PLANTED.encode())) == "a stored secret is in an answer"
    assert wrong(call, Answer(404, {}, b"Traceback (most recent call last)")) == "a traceback is in an answer"
    assert wrong(call, Answer(404, {}, b"{}")) is None
    assert wrong(call, Answer(200, {}, b"{}", "/v1/cameras")) is None
    assert wrong(replace(call, caller="nobody"), Answer(200, {}, b"{}", "/v1/cameras")) == "nobody may not"
    assert wrong(replace(call, caller="ingest"), Answer(200, {}, b"{}", "/v1/cameras")) == "ingest may not"
    assert wrong(replace(call, caller="viewer"), Answer(200, {}, ELSEWHERE.encode(), "/v1/cameras")) is None
    told = wrong(replace(call, caller="viewer of one"), Answer(200, {}, ELSEWHERE.encode(), "/v1/cameras"))
    assert told == "viewer of one is told of another camera"
    assert Call.from_json(call.to_json()) == call
