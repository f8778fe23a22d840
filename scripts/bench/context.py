"""`joyvl bench context`: two hours of one session on a simulated card, beside the reference's scheme on the same one.

Ours is the real thing down to the requests: registry, scheduler, session, observer, context, engine `openai`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.simulation.card import NOTE
from bench.simulation.deployment import simulated_deployment
from bench.simulation.prompt import tokens_of
from bench.simulation.reference_scheme import Reference, Scheme, figures
from bench.simulation.replies import CHOOSE, SAY, SCORE
from bench.simulation.scripted_model import QUESTION, ScriptedModel, question
from bench.simulation.seconds import Second, seconds_of, times
from bench.simulation.server import Request
from bench.simulation.sources import SimulatedSource, View, drawn
from bench.simulation.virtual_time import VirtualClock, run_virtual
from joyvl_server.sessions.ticking.base import phase

COLUMNS = (
    ("scheme", "scheme"),
    ("reply_tokens", "reply"),
    ("seconds_without_decision", "seconds without a decision"),
    ("slowest_tick_s", "slowest tick s"),
    ("silent_p50_s", "due → score, silent: p50 s"),
    ("silent_p99_s", "p99 s"),
    ("silent_max_s", "max s"),
    ("slice_max_s", "with a slice: max s"),
    ("question_fresh", "fresh tokens of a question"),
    ("fresh_tokens_per_s", "fresh tokens/s"),
    ("bytes_per_tick", "bytes/tick"),
)
ASK_EVERY_S = 300
VIEW = View()
SHOWN_MISSES = 40


def bench_context(seconds: int = 7200, replies: Sequence[int] = (25, 60)) -> dict[str, Any]:
    """The keys of the first of `replies` stand at the top; those of the others under `replies`."""
    runs = [_beside(seconds, tokens) for tokens in replies]
    rows = [row for run in runs for row in run.pop("rows")]
    notes = [
        NOTE,
        "A second counts as decided when a turn with its picture was scored within 1 s of its being due, or of the end "
        "of the reply that was under way then. Slowest tick: from the later of the two to the score.",
        "Reference: its scheme accounted on the same card, with a summary of 3,000 tokens that is awaited, "
        f"{Scheme().summary_takes_on_card(VIEW):.0f} s by the same costs halved for a smaller model; and once more "
        "with summaries that are always in time.",
    ]
    others = {str(run["reply_tokens"]): run for run in runs[1:]}
    return {"bench": "context", "seconds": seconds, **runs[0], "replies": others, "rows": rows, "notes": notes}


def _beside(seconds: int, reply_tokens: int) -> dict[str, Any]:
    asked = range(ASK_EVERY_S // 2, seconds, ASK_EVERY_S)
    ours = run_virtual(_ours(seconds, reply_tokens, asked))
    reference = _reference(seconds, asked, Scheme(reply_tokens=reply_tokens))
    prompt = _reference(seconds, asked, Scheme(reply_tokens=reply_tokens, summary_s=0.0))
    ratio = ours["bytes_per_tick"] / reference["bytes_per_tick"]
    ours |= {"bytes_per_tick_ratio": round(ratio, 4), "reference": reference | {"bytes_per_tick_ratio": 1.0}}
    ours["reference_summaries_in_time"] = prompt
    rows = [
        _row("ours", reply_tokens, ours),
        _row("reference", reply_tokens, reference),
        _row("reference, summaries in time", reply_tokens, prompt),
    ]
    return {**ours, "reply_tokens": reply_tokens, "rows": rows}


def _row(scheme: str, reply_tokens: int, of: dict[str, Any]) -> dict[str, Any]:
    silent, met = of["silent"], of.get("silent_met_slice", {})
    return {
        "scheme": scheme,
        "reply_tokens": reply_tokens,
        **{key: of[key] for key in ("seconds_without_decision", "slowest_tick_s", "question_fresh")},
        **{f"silent_{key}": silent[key] for key in ("p50_s", "p99_s", "max_s")},
        "slice_max_s": met.get("max_s"),
        **{key: of[key] for key in ("fresh_tokens_per_s", "bytes_per_tick")},
    }


# ---------------------------------------------------------------------------------------------------------------- ours


async def _ours(seconds: int, reply_tokens: int, asked: Sequence[int]) -> dict[str, Any]:
    def make(number: int, clock: VirtualClock) -> SimulatedSource:
        return SimulatedSource(number, clock, VIEW, drawn())

    async with simulated_deployment(ScriptedModel(reply_tokens=reply_tokens), make) as deployment:
        session = await deployment.add()
        source = deployment.source(session)
        for number, at in enumerate(asked, 1):
            await deployment.clock.sleep(source.opened + at + 0.37 - deployment.clock.monotonic())
            session.ask(question(number))
        await deployment.clock.sleep(source.opened + seconds + 3 - deployment.clock.monotonic())
        await asyncio.sleep(0)
        requests = [request for request in deployment.server.requests if request.began < source.opened + seconds]
        offset = phase(1, session.settings.tick_s)
        decided = seconds_of(deployment.server.requests, opened=source.opened, phase=offset, count=seconds - 1)
        closed = Counter(query.status for query in session.queries.all())
        schedulers = deployment.registry.schedulers()
        load = {kind: round(spent / seconds, 4) for kind, spent in deployment.server.batcher.spent.items()}
    result = _figures(decided, requests, seconds)
    return result | {"queries": dict(closed), "schedulers": schedulers, "load_by_kind": load}


def _figures(seconds: list[Second], requests: list[Request], length: int) -> dict[str, Any]:
    took = [second.took for second in seconds if second.took is not None]
    silent = [second for second in seconds if not second.spoke]
    kinds = Counter(request.kind for request in requests)
    sums = {kind: sum(r.fresh for r in requests if r.kind == kind) for kind in kinds}
    return {
        "seconds_without_decision": sum(not second.decided for second in seconds),
        "slowest_tick_s": round(max(took), 3),
        "silent": times(s.took for s in silent),
        "silent_alone": times(s.took for s in silent if not s.met_slice),
        "silent_met_slice": times(s.took for s in silent if s.met_slice),
        "beside_replies": times(s.took for s in seconds if s.spoke),
        "fresh_tokens_per_s": round(sum(sums.values()) / length, 1),
        "fresh_by_kind": sums,
        "requests_by_kind": dict(kinds),
        "bytes_per_tick": round(sum(request.bytes for request in requests) / length),
        "bytes_by_kind": {kind: sum(r.bytes for r in requests if r.kind == kind) for kind in kinds},
        "longest_prompt": max(request.tokens for request in requests),
        "cached_share": round(sum(r.cached for r in requests) / sum(r.tokens for r in requests), 4),
        **_questions(requests),
        "missed": [_why(second, requests) for second in seconds if not second.decided][:SHOWN_MISSES],
        "fresh_most": _most([request for request in requests if request.kind == SCORE]),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    own: int
    """tokens of the question's own words"""
    score: int
    """fresh tokens of its tick beyond a silent one"""
    choose: int
    say: int


def _questions(requests: list[Request]) -> dict[str, Any]:
    """What questions cost in fresh tokens, beside their own: in their tick, in classifying them, in the answer."""
    scores = [request for request in requests if request.kind == SCORE]
    usual = median(request.fresh for request in scores)
    found: dict[tuple[str, ...], str] = {}
    for request in requests:
        if request.kind in (SCORE, CHOOSE) and (numbers := QUESTION.findall(request.text.rpartition("\n\n")[2])):
            found.setdefault(request.pictures, numbers[-1])
    costs = []
    for pictures, number in found.items():
        fresh = {kind: [r.fresh for r in requests if r.kind == kind and r.pictures == pictures] for kind in _STEPS}
        if not fresh[SAY]:
            continue  # the question's text came again, in a new chunk's history
        first = max(sum(fresh[SCORE]) + max(fresh[CHOOSE], default=0) - usual, 0)
        rest = sum(fresh[CHOOSE]) - max(fresh[CHOOSE], default=0)
        costs.append(Asked(len(tokens_of(question(int(number)))), round(first), rest, sum(fresh[SAY])))
    if not costs:
        return {"question_fresh": None}
    return {
        "question_fresh": round(median(cost.score for cost in costs)),
        "question_fresh_max": max(cost.score for cost in costs),
        "question_own_tokens": round(median(cost.own for cost in costs)),
        "question_choices_fresh": round(median(cost.choose for cost in costs)),
        "question_answer_fresh": round(median(cost.say for cost in costs)),
    }


_STEPS = (SCORE, CHOOSE, SAY)


def _why(second: Second, requests: list[Request]) -> dict[str, Any]:
    """What the engine did around a second that was not decided in time."""
    until = second.scored if second.scored is not None else second.free + 2
    around = [r for r in requests if r.began < until and r.ended > second.due - 1]
    return {
        "due": round(second.due, 2),
        "took_s": None if second.took is None else round(second.took, 2),
        "around": [[r.kind, round(r.began, 2), round(r.ended, 2), r.fresh] for r in around[:12]],
    }


def _most(scores: list[Request]) -> list[dict[str, Any]]:
    """The ticks with most fresh tokens."""
    ordered = sorted(scores, key=lambda request: -request.fresh)[:5]
    return [{"at": round(r.began, 1), "fresh": r.fresh, "took_s": round(r.ended - r.began, 2)} for r in ordered]


# ----------------------------------------------------------------------------------------------------------- reference


def _reference(seconds: int, asked: Sequence[int], scheme: Scheme) -> dict[str, Any]:
    async def run() -> Reference:
        reference = Reference(VirtualClock(), VIEW, scheme, set(asked))
        await reference.run(seconds)
        return reference

    reference = run_virtual(run())
    found = figures(reference.ticks, seconds)
    questions = found["fresh_questions"]
    return {
        "seconds_without_decision": sum(not second.decided for second in reference.seconds),
        "slowest_tick_s": round(max(s.took for s in reference.seconds if s.took is not None), 3),
        "silent": times(s.took for s in reference.seconds if not s.spoke),
        "question_fresh": round(median(questions)) if questions else None,
        **found,
    }
