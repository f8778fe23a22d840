"""Whatever shells and engines do in whatever order: the machine keeps its promises."""

from collections.abc import Iterator

from hypothesis import given

from fakes.logs import Log, decides, logs, many
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Decision
from joyvl_server.core.effects import (
    Abort,
    AddWatch,
    Append,
    AskChoice,
    AskScore,
    BeginChunk,
    Decided,
    Delegate,
    Effect,
    EndWatch,
    QueryClosed,
    Rollback,
    Say,
    Settle,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.core.gaze.gaze import MAX_SECONDS
from joyvl_server.core.inputs import (
    CapabilitiesChanged,
    ConfigChanged,
    Passed,
    QueryAsked,
    Tick,
    WatchesChanged,
)
from joyvl_server.core.observer import Observer
from joyvl_server.core.prompt.answer_parser import AnswerParser, Verdict
from joyvl_server.core.prompt.budget import ANSWER_RESERVE
from joyvl_server.core.prompt.turns import SILENCE, Look, SettledTurn, UserTurn
from joyvl_server.core.prompt.wire_format import (
    DELEGATION,
    MESSAGE,
    RESPONSE,
    answer_tokens,
    text_tokens,
    user_parts,
    user_turn_tokens,
)

MARKERS = (SILENCE, RESPONSE, DELEGATION)


def same_words(read: str, shown: str) -> bool:
    """A "<" right before the marker that ended an answer is shown, but not read again: it might have begun another."""
    rest = shown[len(read) :].strip()
    return shown.startswith(read) and any(marker.startswith(rest) for marker in MARKERS)


def all_effects(log: Log) -> list[object]:
    return [effect for _, effects in log.steps for effect in effects]


@many
@given(logs())
def test_every_tick_gets_exactly_one_decision_and_never_two_steps_are_in_flight(log) -> None:
    ticks = 0
    flying: int | None = None
    decided: list[int] = []
    for input, effects in log.steps:
        ticks += decides(input, effects, ticks)
        for effect in effects:
            if isinstance(effect, Append):
                assert flying is None
                flying = effect.turn.step
            elif isinstance(effect, AskScore | AskChoice | Say | Abort | Settle | Rollback):
                assert effect.step == flying
            elif isinstance(effect, Decided):
                decided.append(effect.step)
                flying = None if effect.step == flying else flying
    assert sorted(decided + ([] if flying is None else [flying])) == list(range(1, ticks + 1))


def budgeted(log: Log) -> Iterator[tuple[int, Effect]]:
    """Each effect with the largest context of that moment."""
    budget = log.config.context_tokens
    for input, effects in log.steps:
        if isinstance(input, ConfigChanged):
            budget = input.config.context_tokens
        yield from ((budget, effect) for effect in effects)


@many
@given(logs())
def test_the_engine_can_follow_and_its_prompt_only_grows_under_the_budget(log) -> None:
    """An engine that only obeys the effects always knows what to do, and never gets more than its budget."""
    held: list[SettledTurn] | None = None
    prefix, system, separator = "", "", log.config.separator
    pending: UserTurn | None = None
    for budget, effect in budgeted(log):
        match effect:
            case BeginChunk(chunk):
                assert pending is None
                held, prefix, system = list(chunk.lead), chunk.prefix, chunk.system
            case Append(_, turn):
                assert held is not None
                assert pending is None
                pending = turn
                turns = [settled.user for settled in held] + [turn]
                firsts = [prefix] + [""] * len(held)
                users = (
                    user_turn_tokens(user_parts(u, prefix=p, separator=separator))
                    for u, p in zip(turns, firsts, strict=True)
                )
                tokens = MESSAGE + text_tokens(system) + sum(users) + sum(answer_tokens(s.answer) for s in held)
                assert tokens <= budget - ANSWER_RESERVE
                assert all(a.t <= b.t for a, b in zip(turns, turns[1:], strict=False))
            case Settle(_, answer):
                held.append(SettledTurn(pending, answer))
                pending = None
            case Rollback():
                pending = None


@many
@given(logs())
def test_what_is_shown_is_what_is_settled_and_decided(log) -> None:
    shown: dict[int, str] = {}
    done: dict[int, UtteranceDone] = {}
    settled: dict[int, str] = {}
    for effect in all_effects(log):
        match effect:
            case UtteranceDelta(epoch, text):
                assert text
                assert epoch not in done
                shown[epoch] = shown.get(epoch, "") + text
            case UtteranceDone(epoch=epoch, text=text):
                assert shown[epoch] == text
                assert epoch not in done
                done[epoch] = effect
            case Settle(step, answer):
                settled[step] = answer
            case Decided() if effect.skipped is None:
                if effect.look is Look.SKIP:  # a sound: the server itself says what it heard
                    assert effect.epoch is None or done[effect.epoch].text == effect.text
                    continue
                parser = AnswerParser()
                parser.feed(settled[effect.step])
                parser.finish()
                if effect.detail == "interrupted":
                    assert effect.epoch is None or done[effect.epoch].text == effect.text
                    assert parser.note in effect.text.strip()
                elif effect.decision is Decision.SILENT:
                    assert parser.verdict is Verdict.SILENT
                    assert effect.epoch is None
                else:
                    assert parser.verdict is Verdict.RESPONSE
                    assert same_words(parser.note, effect.text)
                    assert effect.question == "" or same_words(parser.question, effect.question)
                    assert effect.suppressed is None
                    if effect.epoch is None:
                        assert effect.text == ""
                    else:
                        assert done[effect.epoch].text == effect.text
            case Decided():
                assert (effect.decision, effect.text, effect.epoch) == (Decision.SILENT, "", None)
            case Delegate():
                assert effect.question


@many
@given(logs())
def test_seconds_of_a_reply_are_told_once_and_in_order(log) -> None:
    passed: set[float] = set()
    last: float | None = None
    pending: UserTurn | None = None
    every = log.config.engine.needs_every_frame
    for input, effects in log.steps:
        if isinstance(input, CapabilitiesChanged):
            every = input.engine.needs_every_frame
        elif isinstance(input, ConfigChanged):
            every = input.config.engine.needs_every_frame
        if isinstance(input, Tick | Passed):
            passed.add((*input.burst, input.frame)[0].t)
        for effect in effects:
            if isinstance(effect, Append):
                pending = effect.turn
                times = [frame.t for second in pending.seconds for frame in second.frames]
                jumped = last is not None and pending.frame.t < last
                assert times == sorted(times)
                assert len(pending.backlog) <= MAX_SECONDS
                assert {second.frames[0].t for second in pending.backlog} <= passed
                if pending.backlog:
                    assert not every
                    assert not jumped
                    assert last is None or times[0] > last
            elif isinstance(effect, Settle):
                last = pending.frame.t


@many
@given(logs())
def test_only_engines_that_choose_are_asked_and_a_request_is_obeyed_once(log) -> None:
    obeyed: set[str] = set()
    asked: set[str] = set()
    active: set[str] = set()
    chooses = log.config.engine.chooses
    for input, effects in log.steps:
        match input:
            case QueryAsked(id=query_id):
                obeyed.discard(query_id)
                asked.add(query_id)
            case CapabilitiesChanged(_, engine) | ConfigChanged(_, ObserverConfig(engine=engine)):
                chooses = engine.chooses
            case WatchesChanged(_, watch_set):
                active = {watch.id for watch in watch_set.active}
        for effect in effects:
            match effect:
                case AskChoice():
                    assert chooses
                    assert effect.options == tuple("ABCDEFGHIJKLMNOPQRST"[: len(effect.options)])
                case AddWatch(query_id) | EndWatch(query_id):
                    assert query_id in asked - obeyed
                    obeyed.add(query_id)
                    assert not isinstance(effect, EndWatch) or effect.watch_id in active
                case QueryClosed(query_id, reason):
                    assert reason != "standing" or query_id in obeyed


@many
@given(logs())
def test_queries_close_once_and_only_what_was_asked(log) -> None:
    open_queries: set[str] = set()
    for input, effects in log.steps:
        if isinstance(input, QueryAsked):
            open_queries.add(input.id)
        for effect in effects:
            if isinstance(effect, QueryClosed):
                open_queries.remove(effect.id)


@many
@given(logs())
def test_the_same_inputs_give_the_same_effects(log) -> None:
    observer = Observer(log.config)
    for input, effects in log.steps:
        assert repr(observer.handle(input)) == repr(effects)
