"""What an engine can do changes while the session goes on: one machine, its memory and its numbers stay."""

from dataclasses import replace

import pytest

from fakes.observing import CAME, FALLS, POST, Shell, kinds, only
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decisions import Decision, Skip, Suppressed
from joyvl_server.core.effects import (
    Append,
    AskScore,
    BeginChunk,
    Decided,
    Delegate,
    PrepareChunk,
    QueryClosed,
    Say,
    StopWriting,
    UtteranceDone,
    Write,
)
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.inputs import ChunkWarmed, ConfigChanged, EngineRestarted, TaskChanged, WriteFailed, Written
from joyvl_server.core.observer import Observer, StepState
from joyvl_server.core.prompt.turns import Look

CANCEL = (0.1, 0.1, 0.8)


def test_the_next_turn_begins_a_chunk_with_a_short_lead_and_everything_goes_on() -> None:
    shell = Shell(chooses=True, task_prefix="t_", first_epoch=7, cooldown_s=0.0)
    shell.watch(0.0, POST)
    for t in range(4):
        shell.silent(float(t))
    shell.says(4.0, f"{CAME} </delegation> Who is he?", kind="enter")
    assert shell.able(4.5, chooses=False) == []
    chunk = only(shell.tick(5.0), BeginChunk).chunk
    assert (chunk.number, [turn.user.frame.t for turn in chunk.lead]) == (2, [3.0, 4.0])
    assert (POST.text in chunk.prefix, chunk.origin) == (True, 0.0)
    shell.score(5.1, 0.0)
    effects = shell.says(6.0, "The post is here, I see. </delegation> From whom is it?")
    assert (only(effects, UtteranceDone).epoch, only(effects, Delegate).task_id) == (8, "t_2")


def test_what_it_said_lately_is_still_known() -> None:
    shell = Shell()
    shell.says(0.0, CAME)
    shell.able(3.0, prepares=True)
    assert only(shell.says(5.0, CAME), Decided).suppressed is Suppressed.DUPLICATE


def test_before_the_first_turn_it_changes_nothing() -> None:
    shell = Shell()
    shell.able(0.0, chooses=True)
    assert kinds(shell.silent(1.0)) == ["BeginChunk", "Append", "AskScore", "Settle", "Decided"]
    assert "BeginChunk" not in kinds(shell.tick(2.0))


@pytest.mark.parametrize("state", ["scoring", "holding", "speaking"])
def test_a_step_in_flight_goes_on(state) -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.tick(1.0)
    if state != "scoring":
        shell.score(1.1)
    if state == "speaking":
        shell.text(1.2, f"{CAME} He")
    before = shell.observer.state
    assert shell.able(1.3, chooses=True, needs_every_frame=True) == []
    assert shell.observer.state is before is StepState[state.upper()]
    if state == "scoring":
        shell.score(1.4)
    assert only(shell.text(1.5, f"{CAME} He waves.") + shell.done(1.6), Decided).decision is Decision.SPEAK
    assert [turn.user.frame.t for turn in only(shell.tick(2.0), BeginChunk).chunk.lead] == [0.0, 1.0]


@pytest.mark.parametrize("state", ["scoring", "holding"])
def test_a_step_that_fails_with_the_engine_leaves_no_trace(state) -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.tick(1.0)
    if state == "holding":
        shell.score(1.1)
    shell.able(1.2, writes=True)
    assert only(shell.fail(1.3), Decided).skipped is Skip.FAILED
    assert [turn.user.frame.t for turn in only(shell.tick(2.0), BeginChunk).chunk.lead] == [0.0]


def test_an_engine_that_no_longer_chooses_is_asked_for_a_score_once_it_has_answered() -> None:
    shell = Shell(chooses=True)
    shell.ask(0.0)
    shell.tick(0.0)
    shell.able(0.1, chooses=False)
    assert shell.observer.state is StepState.CLASSIFYING
    assert shell.choose(0.2) == [AskScore(1)]
    shell.text(0.4, "It is red, I think. ") if kinds(shell.score(0.3)) == ["Say"] else None
    assert only(shell.done(0.5), QueryClosed).reason == "answered"
    shell.ask(1.0, "r")
    assert kinds(shell.tick(1.0)) == ["BeginChunk", "Append", "AskScore"]


def test_an_engine_that_no_longer_chooses_is_not_asked_which_one_is_to_end() -> None:
    shell = Shell(chooses=True)
    shell.watch(0.0, POST, FALLS)
    shell.silent(0.0)
    shell.ask(1.0, text="Stop that")
    shell.tick(1.0)
    shell.able(1.1, chooses=False)
    assert shell.choose(1.2, *CANCEL) == [AskScore(2)]


@pytest.mark.parametrize("shares", [(), (0.1, 0.8, 0.1)])
def test_an_end_that_is_asked_for_already_counts_if_it_is_answered(shares) -> None:
    shell = Shell(chooses=True)
    shell.watch(0.0, POST, FALLS)
    shell.silent(0.0)
    shell.ask(1.0, text="Stop that")
    shell.tick(1.0)
    assert kinds(shell.choose(1.1, *CANCEL)) == ["AskChoice"]
    shell.able(1.2, chooses=False)
    assert kinds(shell.choose(1.3, *shares)) == (["EndWatch", "AskScore"] if shares else ["AskScore"])


@pytest.mark.parametrize("shares", [(), (0.1, 0.8, 0.1)])
def test_an_attribution_in_flight_is_taken_as_it_comes(shares) -> None:
    shell = Shell(chooses=True)
    shell.watch(0.0, POST, FALLS)
    shell.tick(0.0)
    assert kinds(shell.score(0.1)) == ["AskChoice"]
    shell.able(0.2, chooses=False)
    assert shell.choose(0.3, *shares) == [Say(1)]
    decided = only(shell.text(0.4, f"{CAME} ") + shell.done(0.5), Decided)
    assert decided.watches == (("falls",) if shares else ("post", "falls"))
    assert [share.share for share in decided.shares] == sorted(shares, reverse=True)
    assert kinds(shell.tick(5.0) + shell.score(5.1)) == ["BeginChunk", "Append", "AskScore", "Say"]


def prepared() -> tuple[Shell, PrepareChunk, str]:
    """A session whose next chunk is prepared at 14.0, and the draft of the summary that is still being written."""
    shell = Shell(prepares=True, writes=True, chunk_s=20.0, lead_turns=3, context_tokens=6000)
    effects: list = []
    for t in range(15):
        effects += shell.silent(float(t))
    return shell, only(effects, PrepareChunk), only(effects, Write).draft.id


def test_a_prepared_chunk_is_forgotten() -> None:
    shell, chunk, _ = prepared()
    shell.able(14.5, prepares=False)
    assert shell.observer.handle(ChunkWarmed(14.6, chunk.chunk.number, 99)) == []
    effects = shell.silent(15.0)
    assert only(effects, BeginChunk).chunk.number > chunk.chunk.number
    assert len(only(effects, BeginChunk).chunk.lead) == 2
    for t in range(16, 40):
        effects += shell.silent(float(t))
    assert "PrepareChunk" not in kinds(effects)


def test_an_engine_that_prepares_from_now_on_is_given_a_chunk() -> None:
    shell = Shell(chunk_s=20.0, lead_turns=3, context_tokens=6000)
    shell.silent(0.0)
    shell.able(0.5, prepares=True)
    assert "PrepareChunk" in [kind for t in range(1, 20) for kind in kinds(shell.silent(float(t)))]


def later(shell: Shell) -> set[str]:
    """The kinds of effects of the next seconds."""
    return {kind for t in range(15, 60) for kind in kinds(shell.silent(float(t)))}


def test_nobody_waits_for_a_draft_of_an_engine_that_no_longer_writes() -> None:
    shell, _, draft = prepared()
    assert shell.able(14.5, writes=False) == [StopWriting(draft)]
    assert not later(shell) & {"Write", "StopWriting"}


def test_a_draft_that_failed_is_not_asked_for_again() -> None:
    shell, _, draft = prepared()
    shell.observer.handle(WriteFailed(14.2, draft, "engine", "It failed."))
    assert shell.able(14.5, writes=False) == []
    assert not later(shell) & {"Write", "StopWriting"}


def test_an_account_that_nobody_writes_any_more_is_cut() -> None:
    shell = Shell(writes=True, memory_tokens=300, summary_tokens=100, chunk_s=10.0, lead_turns=0, context_tokens=6000)
    for t in range(200):
        drafts = [effect.draft for effect in shell.silent(float(t)) if isinstance(effect, Write)]
        if any(draft.chunk is None for draft in drafts):
            break
        for draft in drafts:
            shell.observer.handle(
                Written(float(t), draft.id, f"A man sat in a room and read book {t} by the window. " * 3)
            )
    assert shell.able(t + 0.5, writes=False) == [StopWriting(drafts[-1].id)]
    assert "BeginChunk" in kinds(shell.silent(t + 1.0))


def test_from_now_on_every_frame_and_back() -> None:
    shell = Shell(fidelity="eco", still_after_s=0.0)
    shell.silent(0.0)
    assert only(shell.tick(1.0), Decided).skipped is Skip.STILL
    shell.able(1.5, needs_every_frame=True)
    assert only(shell.tick(2.0), Append).turn.look is Look.FULL
    shell.score(2.1, 0.0)
    shell.able(2.5, needs_every_frame=False)
    assert only(shell.tick(3.0), Decided).skipped is Skip.STILL


@pytest.mark.parametrize("fails", [False, True])
def test_seconds_of_a_reply_do_not_wait_for_an_engine_that_follows_movement_itself(fails) -> None:
    shell = Shell()
    shell.tick(0.0)
    shell.score(0.1)
    shell.text(0.2, f"{CAME} He")
    shell.passes(1.0)
    shell.able(1.5, needs_every_frame=True)
    shell.passes(2.0)
    if fails:
        shell.fail(2.5)
    else:
        shell.done(2.5)
    assert only(shell.tick(3.0), Append).turn.backlog == ()
    shell.score(3.1)
    shell.text(3.2, "Another man came in, too. He")
    shell.able(3.5, needs_every_frame=False)
    shell.passes(4.0)
    shell.done(4.5)
    assert [second.frames[0].t for second in only(shell.tick(5.0), Append).turn.backlog] == [4.0]


def test_a_backlog_under_way_is_not_sent_twice_to_an_engine_that_needs_every_frame() -> None:
    shell = Shell()
    shell.tick(0.0)
    shell.score(0.1)
    shell.text(0.2, f"{CAME} He")
    shell.passes(1.0)
    shell.done(1.5)
    assert len(only(shell.tick(2.0), Append).turn.backlog) == 1
    shell.able(2.1, needs_every_frame=True)
    shell.fail(2.2)
    assert only(shell.tick(3.0), Append).turn.backlog == ()


def test_an_open_question_waits_for_an_engine_that_reads_words() -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.ask(0.4)
    shell.able(0.5, follows_instructions=False)
    assert only(shell.tick(1.0), Append).turn.query is None
    shell.score(1.1, 0.0)
    decided = only(shell.says(2.0, CAME), Decided)
    assert (decided.decision, decided.query) == (Decision.SPEAK, None)
    shell.able(2.5, follows_instructions=True)
    assert only(shell.tick(3.0), Append).turn.query == "What colour is the car?"
    shell.score(3.1, 0.5)
    effects = shell.text(3.2, "It is red, I think. ") + shell.done(3.3)
    assert only(effects, QueryClosed).id == "q"


def test_a_question_said_once_more_to_an_engine_without_words_is_closed_once() -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.ask(0.4)
    shell.able(0.5, follows_instructions=False)
    assert only(shell.ask(0.6), QueryClosed).id == "q"
    shell.able(0.7, follows_instructions=True)
    assert only(shell.tick(1.0), Append).turn.query is None
    shell.score(1.1, 0.0)
    assert "QueryClosed" not in kinds(shell.tick(2000.0))


def test_a_question_that_was_read_is_asked_again_in_the_next_chunk() -> None:
    shell = Shell()
    shell.ask(0.0)
    shell.silent(0.0)
    shell.silent(1.0)
    shell.able(1.5, chooses=True)
    shell.silent(2.0)
    shell.silent(3.0)
    shell.able(3.5, chooses=False)
    chunk = only(shell.tick(4.0), BeginChunk).chunk
    assert "What colour is the car?" in chunk.prefix
    shell.score(4.1, 0.5)
    effects = shell.text(4.2, "It is red, I think. ") + shell.done(4.3)
    assert only(effects, QueryClosed).answer == "It is red, I think."


def test_a_remark_of_an_engine_without_words_answers_no_question_but_that_of_its_own_turn() -> None:
    shell = Shell()
    shell.ask(0.0)
    shell.tick(0.0)
    shell.able(0.1, follows_instructions=False)
    shell.score(0.2)
    assert only(shell.text(0.3, "It is red, I think. ") + shell.done(0.4), QueryClosed).reason == "answered"


def test_the_result_of_a_task_waits_for_an_engine_that_reads_words() -> None:
    shell = Shell()
    shell.says(0.0, f"{CAME} </delegation> Who is he?")
    shell.able(0.5, follows_instructions=False)
    said = shell.observer.handle(TaskChanged(0.6, "task_1", "completed", "The postman"))
    assert kinds(said) == ["UtteranceDelta", "UtteranceDone", "TaskTold"]
    assert only(shell.tick(1.0), Append).turn.news == ()
    shell.score(1.1, 0.0)
    shell.able(1.5, follows_instructions=True)
    assert "The postman" in only(shell.tick(2.0), Append).turn.news[0]


@pytest.mark.parametrize("also", ["nothing", "restarted", "in flight", "at once"])
def test_turns_that_were_kept_without_pictures_lead_no_chunk(also) -> None:
    shell = Shell(follows_instructions=False)
    for t in range(3):
        shell.silent(float(t))
    if also == "in flight":
        shell.tick(3.0)
    if also == "at once":  # no turn of this chunk has settled
        shell.observer.handle(EngineRestarted(2.5))
        shell.tick(3.0)
        shell.fail(3.1)
    shell.able(3.2, follows_instructions=True)
    if also == "restarted":
        shell.observer.handle(EngineRestarted(3.3))
    if also == "in flight":
        shell.score(3.4, 0.0)
    assert only(shell.tick(4.0), BeginChunk).chunk.lead == ()
    shell.score(4.1, 0.0)
    shell.silent(5.0)
    shell.able(5.5, chooses=True)
    assert [turn.user.frame.t for turn in only(shell.tick(6.0), BeginChunk).chunk.lead] == [4.0, 5.0]


def test_the_config_takes_effect_live() -> None:
    shell = Shell(cooldown_s=0.0, duplicate_window_s=100.0)
    shell.says(0.0, CAME)
    shell.configure(0.5, cooldown_s=5.0)
    assert only(shell.says(2.0, "Another one came.", 1.0), Decided).suppressed is Suppressed.COOLDOWN
    shell.configure(2.5, cooldown_s=0.0, duplicate_window_s=1.0)
    assert only(shell.says(4.0, CAME), Decided).decision is Decision.SPEAK
    shell.configure(4.5, query_ttl_s=1.0)
    shell.ask(5.0)
    shell.tick(5.0)
    shell.score(5.1, 0.0)
    assert only(shell.tick(6.0), QueryClosed).reason == "expired"
    shell.configure(6.5, max_answer_chars=20)
    shell.score(6.6)
    assert only(shell.text(6.7, "x" * 50) + shell.done(6.8), UtteranceDone).text == "x" * 20


def test_epochs_and_tasks_count_on() -> None:
    shell = Shell(first_epoch=3, task_prefix="a_", cooldown_s=0.0)
    shell.says(0.0, f"{CAME} </delegation> Who?")
    shell.configure(0.5, first_epoch=1, task_prefix="b_")
    effects = shell.says(1.0, "Another man came in now. </delegation> Why?")
    assert (only(effects, UtteranceDone).epoch, only(effects, Delegate).task_id) == (4, "a_2")


@pytest.mark.parametrize("setting", [{"delegation": False}, {"system": "Be brief."}, {"separator": " "}])
def test_another_prompt_begins_a_chunk(setting) -> None:
    shell = Shell()
    for t in range(4):
        shell.silent(float(t))
    shell.configure(3.5, **setting)
    chunk = only(shell.tick(4.0), BeginChunk).chunk
    assert (chunk.system, len(chunk.lead)) == (shell.observer.context.system, 2)


def test_other_facts_in_a_config_are_another_engine() -> None:
    shell = Shell()
    shell.silent(0.0)
    shell.configure(0.5, threshold=0.7)
    assert "BeginChunk" not in kinds(shell.silent(1.0))
    shell.configure(1.5, engine=replace(shell.observer.config.engine, prepares=True))
    assert "BeginChunk" in kinds(shell.tick(2.0))


def test_a_config_with_too_small_a_budget_changes_nothing() -> None:
    observer = Observer(ObserverConfig())
    with pytest.raises(ConfigError, match="too small"):
        observer.handle(ConfigChanged(0.0, ObserverConfig(context_tokens=10, threshold=0.9)))
    assert observer.config == ObserverConfig()
    assert observer.context.budget.tokens == ObserverConfig().context_tokens


def test_the_room_that_an_engine_has_outlives_a_config() -> None:
    shell = Shell()
    shell.observer.context.set_limit(3000)
    shell.configure(0.0, context_tokens=8000)
    assert shell.observer.context.budget.tokens == 3000


def test_a_tick_says_what_its_score_was_compared_with() -> None:
    shell = Shell(threshold=0.6, chooses=True, cooldown_s=0.0)
    assert only(shell.tick(0.0) + shell.score(0.1, 0.1), Decided).threshold == 0.6
    shell.watch(0.5, replace(POST, threshold=0.3), FALLS)
    assert only(shell.tick(1.0) + shell.score(1.1, 0.1), Decided).threshold == 0.3
    shell.tick(2.0)
    shell.choose_text(2.2, shell.score(2.1, 0.4), "falls")
    decided = only(shell.tick(3.0) + shell.score(3.1, 0.0), Decided)
    assert (decided.threshold, decided.shares) == (0.3, ())


def test_a_tick_says_how_the_remark_was_attributed() -> None:
    shell = Shell(threshold=0.6, chooses=True)
    shell.watch(0.0, replace(POST, threshold=0.3), FALLS)
    shell.tick(1.0)
    shell.score(1.1, 0.4)
    decided = only(shell.choose(1.2, 0.2, 0.7, 0.1), Decided)
    assert (decided.suppressed, decided.threshold) == (Suppressed.BELOW, 0.6)
    assert [(share.watch, share.query, share.share) for share in decided.shares] == [
        ("falls", None, 0.7),
        ("post", None, 0.2),
        (None, None, 0.1),
    ]
