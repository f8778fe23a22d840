"""Somebody speaks while the session does: what is held, resumed, cut, and what the model and people are told of it."""

import pytest

from fakes.media.frames import EPOCH
from fakes.observing import CAME, GUEST, Shell, kinds, only
from fakes.speaking import SpokenShell
from joyvl_server.core.decisions import Decision, Suppressed, Urgency
from joyvl_server.core.effects import (
    Abort,
    Append,
    CutPlayback,
    Decided,
    HoldPlayback,
    Play,
    PlaybackCut,
    QueryClosed,
    ResumePlayback,
    Settle,
    UtteranceDelta,
    UtteranceDone,
)
from joyvl_server.core.inputs import PlaybackAcked, TaskChanged

SMILES = f"{CAME} He smiles at the camera."


def playing(**config) -> SpokenShell:
    """The remark of second 0 plays as epoch 1, two words of it were heard."""
    shell = SpokenShell(**config)
    assert Play(1) in shell.says(0.0, SMILES)
    assert shell.acked(0.5, 1, len("A man c")) == []
    return shell


# ------------------------------------------------------------------------------------- what is an interruption


def test_it_falls_silent_at_once_and_a_click_lets_it_go_on() -> None:
    shell = playing()
    assert shell.speaks(1.0) == [HoldPlayback(1)]
    assert shell.observer.playing
    assert shell.stops(1.2, 0.2) == [ResumePlayback(1)]
    assert shell.hears_nothing(2.0) == []


@pytest.mark.parametrize("text", ["Mhm.", "Yes.", "OK, okay", "嗯", "好的。", "", "…"])
def test_who_only_listens_does_not_interrupt(text: str) -> None:
    shell = playing()
    assert shell.speaks(1.0) == [HoldPlayback(1)]
    assert shell.lasts(1.4) == []
    assert shell.hears(1.5, text, final=False) == []
    assert shell.stops(1.5, 0.5) == []
    assert shell.hears(2.0, text) == [ResumePlayback(1)]


def test_words_interrupt_as_soon_as_they_are_known() -> None:
    shell = playing()
    shell.speaks(1.0)
    effects = shell.hears(1.4, "What is", final=False)
    assert effects == [CutPlayback(1), PlaybackCut(1, 1.4, "A man")]
    assert not shell.observer.playing
    assert shell.hears(2.0, "What is that?", final=False) == []
    assert shell.lasts(2.0) == []
    assert shell.hears(3.0, "What is that?") == []
    assert shell.hears(4.0, "What is that?") == []  # its words are known already


def test_short_words_interrupt_late() -> None:
    shell = playing()
    shell.speaks(1.0)
    assert shell.stops(1.3, 0.3) == [ResumePlayback(1)]
    assert kinds(shell.hears(1.9, "No!")) == ["CutPlayback", "PlaybackCut"]


def test_who_goes_on_speaking_interrupts_without_words() -> None:
    shell = playing()
    shell.speaks(1.0)
    assert shell.lasts(1.4) == []
    assert kinds(shell.passes_unseen(2.2)) == ["Decided", "CutPlayback", "PlaybackCut"]
    assert kinds(shell.passes_unseen(3.2)) == ["Decided"]


def test_a_long_speech_whose_end_is_told_first_interrupts() -> None:
    shell = playing()
    shell.speaks(1.0)
    assert kinds(shell.stops(2.1, 1.3)) == ["CutPlayback", "PlaybackCut"]


def test_a_transcript_knows_better_than_the_length() -> None:
    shell = playing()
    shell.speaks(1.0)
    shell.hears(1.6, "yes, yes", final=False)
    assert kinds(shell.passes_unseen(2.3)) == ["Decided"]
    assert shell.stops(2.4, 1.4) == []
    assert shell.hears(2.9, "Yes, yes, okay.") == [ResumePlayback(1)]


def test_a_pause_lets_it_go_on_before_the_end_is_known() -> None:
    shell = playing()
    shell.speaks(1.0)
    assert shell.pauses(1.4) == [ResumePlayback(1)]
    assert kinds(shell.passes_unseen(2.4)) == ["Decided"]  # silence is not a long speech
    assert shell.stops(1.2, 0.2) == []
    assert kinds(shell.hears(2.6, "No!")) == ["CutPlayback", "PlaybackCut"]


def test_who_goes_on_after_a_pause_is_listened_to_again() -> None:
    shell = playing()
    shell.speaks(1.0)
    shell.pauses(1.4)
    assert shell.goes_on(1.5) == [HoldPlayback(1)]
    assert shell.goes_on(1.5) == []  # it does already
    assert kinds(shell.passes_unseen(2.3)) == ["Decided"]  # the pause is not counted
    assert kinds(shell.passes_unseen(2.8)) == ["Decided", "CutPlayback", "PlaybackCut"]


def test_a_yes_before_the_pause_is_no_part_of_a_long_speech() -> None:
    shell = playing()
    shell.speaks(1.0)
    shell.pauses(1.4)
    shell.goes_on(1.6)
    assert shell.stops(2.4, 1.4) == []
    assert shell.hears(3.0, "Yes. Okay.") == [ResumePlayback(1)]


def test_what_goes_on_interrupts_what_plays_by_then() -> None:
    shell = playing()
    shell.ask(0.9)
    shell.speaks(1.0)
    shell.pauses(1.4)
    shell.ended(1.5, 1, 100)
    assert Play(2) in shell.says(1.5, "The car is blue.")
    assert shell.goes_on(1.6) == [HoldPlayback(2)]
    assert kinds(shell.hears(2.0, "Tell me", final=False)) == ["CutPlayback", "PlaybackCut"]


def test_a_pause_of_a_speech_that_lasted_or_is_judged_says_nothing() -> None:
    shell = playing()
    shell.speaks(1.0)
    shell.lasts(1.4)
    assert shell.pauses(1.6) == shell.goes_on(1.7) == []
    assert shell.pauses(1.8, "of nobody") == shell.goes_on(1.9, "of nobody") == []
    assert shell.hears_nothing(2.0) == [ResumePlayback(1)]


def test_what_is_not_addressed_does_not_go_on() -> None:
    shell = playing(addressed_only=True)
    shell.speaks(1.0)
    shell.pauses(1.4)
    assert shell.hears(1.5, "Did you", final=False, addressed=False) == []
    assert shell.goes_on(1.6) == []


def test_people_who_talk_to_each_other_do_not_interrupt() -> None:
    shell = playing(addressed_only=True)
    shell.speaks(1.0)
    assert kinds(shell.passes_unseen(2.3)) == ["Decided", "ResumePlayback"]
    assert shell.hears(2.5, "Did you see that?", final=False, addressed=False) == []
    assert kinds(shell.hears(3.0, "Computer, who is it?")) == ["CutPlayback", "PlaybackCut"]


def test_what_is_not_addressed_gives_the_floor_back() -> None:
    shell = playing(addressed_only=True)
    shell.speaks(1.0)
    assert shell.hears(1.5, "Did you see", final=False, addressed=False) == [ResumePlayback(1)]
    assert shell.hears(3.0, "Did you see it?", addressed=False) == []


def test_it_goes_on_once_everybody_is_silent() -> None:
    shell = playing()
    shell.speaks(1.0, "a")
    assert shell.speaks(1.2, "b") == []
    assert shell.stops(1.4, 0.1, "b") == []
    assert shell.stops(1.5, 0.5, "a") == []
    assert shell.hears_nothing(2.0, "a") == [ResumePlayback(1)]


def test_without_echo_cancellation_nothing_interrupts() -> None:
    shell = playing(half_duplex=True)
    assert shell.speaks(1.0) == []
    assert shell.lasts(1.4) == shell.goes_on(1.4) == shell.stops(1.5, 0.5) == shell.hears(2.0, "Stop!") == []
    assert shell.ended(3.0, 1, 100) == []
    shell.speaks(3.5)  # now nothing plays
    assert "Play" not in kinds(shell.says(9.0, "Somebody else came in."))


# ------------------------------------------------------------------------------------------ what follows from it


def test_the_model_is_told_what_was_heard_of_a_settled_turn() -> None:
    shell = playing()
    shell.speaks(1.0)
    shell.hears(1.5, "Who is that?")
    effects = shell.tick(2.0)
    assert only(effects, Append).turn.news == ('[Interrupted] Only this was heard: "A man"',)
    shell.score(2.0, 0.0)
    assert only(shell.tick(3.0), Append).turn.news == ()


def test_an_engine_that_reads_no_words_is_told_nothing() -> None:
    shell = playing(follows_instructions=False)
    shell.speaks(1.0)
    shell.hears(1.5, "Who is that?")
    assert only(shell.tick(2.0), Append).turn.news == ()


def writing(**config) -> SpokenShell:
    """It has shown its first sentence and writes on; that plays, as epoch 1."""
    shell = SpokenShell(**config)
    shell.tick(0.0)
    shell.score(0.0)
    assert shell.text(0.1, f"{CAME} He") == [UtteranceDelta(1, f"{CAME} He"), Play(1)]
    return shell


def test_an_interruption_ends_the_writing() -> None:
    shell = writing()
    shell.acked(0.8, 1, len("A man came"))
    shell.speaks(1.0)
    assert shell.text(1.1, " smiles") == [UtteranceDelta(1, " smiles")]
    effects = shell.hears(1.4, "Who is that?", final=False)
    note = f"{CAME} He smiles"
    assert effects == [
        CutPlayback(1),
        PlaybackCut(1, 1.4, "A man came"),
        Abort(1),
        UtteranceDone(1, 0.0, EPOCH, note, Urgency.REMARK, interrupted=True),
        Settle(1, "</response> A man came"),
        only(effects, Decided),
    ]
    decided = only(effects, Decided)
    assert (decided.decision, decided.text, decided.epoch) == (Decision.SPEAK, note, 1)
    assert shell.done(1.5) == []
    assert only(shell.tick(2.0), Append).turn.news == ()  # the context has only what was heard


def test_of_what_nobody_heard_nothing_is_kept() -> None:
    shell = writing()
    shell.speaks(0.3)
    effects = shell.hears(1.4, "Who is that?")
    assert only(effects, Settle).answer == "</silence>"
    assert only(effects, Decided).decision is Decision.SPEAK
    assert only(shell.says(5.0, CAME), Decided).decision is Decision.SPEAK  # it may be said again


def test_what_was_heard_is_not_said_again() -> None:
    shell = playing(hysteresis=0.0)
    shell.acked(1.0, 1, len(CAME) + 4)
    shell.speaks(1.5)
    shell.hears(2.5, "Who is that?")
    assert only(shell.says(4.0, CAME), Decided).suppressed is Suppressed.COOLDOWN  # from the end of playback
    assert only(shell.says(5.0, CAME), Decided).suppressed is Suppressed.DUPLICATE


def test_a_beginning_that_was_not_heard_whole_may_be_said_again() -> None:
    shell = playing(hysteresis=0.0)
    shell.speaks(1.5)
    shell.hears(2.5, "Who is that?")
    assert only(shell.says(5.0, CAME), Decided).decision is Decision.SPEAK


def answering(text: str, heard: int) -> SpokenShell:
    shell = SpokenShell()
    shell.ask(0.0)
    shell.tick(0.1)
    shell.score(0.1)
    shell.text(0.2, text)
    shell.acked(0.8, 1, heard)
    shell.speaks(1.0)
    return shell


def test_an_answer_that_was_heard_in_part_is_one() -> None:
    effects = answering("The car is blue, I think. It", 10).hears(1.5, "Which one?")
    assert only(effects, QueryClosed).reason == "answered"


def test_a_question_of_whose_answer_nothing_was_heard_stays_open() -> None:
    shell = answering("The car is blue, I think. It", 0)
    effects = shell.hears(1.5, "And the other one?")
    assert "QueryClosed" not in kinds(effects)
    assert only(shell.says(5.0, "The car is blue."), QueryClosed).reason == "answered"


def test_a_whole_answer_that_nobody_heard_is_told() -> None:
    shell = SpokenShell()
    shell.ask(0.0)
    assert only(shell.says(0.1, "The car is blue."), QueryClosed).reason == "answered"
    shell.speaks(0.3)
    shell.hears(1.5, "And the other one?")
    assert only(shell.tick(2.0), Append).turn.news == ('[Interrupted] Nothing was heard of: "The car is blue."',)


# --------------------------------------------------------------------------------------------------------- stop


@pytest.mark.parametrize("text", ["Stop!", "Please be quiet.", "停", "别说了！", "安静"])
def test_a_stop_word_ends_all_but_alerts_that_wait(text: str) -> None:
    shell = playing()
    shell.ask(1.0)
    shell.says(1.1, "The car is blue.")
    shell.ended(1.2, 1, 8)
    shell.watch(1.3, GUEST)
    shell.speaks(1.4)
    effects = shell.hears(2.0, text, addressed=False)
    assert effects == [CutPlayback(2), PlaybackCut(2, 2.0, "")]
    assert only(shell.says(3.0, CAME), Decided).suppressed is Suppressed.COOLDOWN


def test_a_stop_word_ends_an_answer_before_it_is_shown() -> None:
    shell = SpokenShell()
    shell.ask(0.0)
    shell.tick(0.1)
    shell.score(0.1)
    shell.speaks(0.2)
    effects = shell.hears(0.8, "Never mind, stop")
    assert effects == []  # that is more than a stop word
    shell.speaks(1.0, "b")
    effects = shell.hears(1.8, "Stop", "b")
    assert kinds(effects) == ["Abort", "QueryClosed", "Settle", "Decided", "TickNow"]
    assert only(effects, QueryClosed).reason == "withdrawn"
    assert only(effects, Settle).answer == "</silence>"


def test_a_stop_word_ends_a_remark_and_an_answer_in_mid_word() -> None:
    shell = writing()
    shell.speaks(0.3)
    assert "Abort" in kinds(shell.hears(0.9, "stop"))
    effects = answering("The car is blue, I think. It", 0).hears(1.5, "Stop.")
    assert only(effects, QueryClosed).reason == "withdrawn"


def test_a_stop_word_ends_an_alert_that_plays() -> None:
    shell = SpokenShell()
    shell.watch(0.0, GUEST)
    shell.says(0.1, CAME)
    shell.speaks(0.3)
    assert kinds(shell.hears(0.8, "Quiet!")) == ["CutPlayback", "PlaybackCut"]


def test_an_alert_under_way_is_not_stopped() -> None:
    shell = SpokenShell()
    shell.watch(0.0, GUEST)
    shell.tick(0.1)
    shell.score(0.1)
    shell.speaks(0.2)
    assert shell.hears(0.8, "Quiet!") == []


def test_an_alert_of_which_nothing_was_heard_goes_on_after_words() -> None:
    shell = SpokenShell()
    shell.watch(0.0, GUEST)
    assert Play(1) in shell.says(0.1, CAME)
    assert shell.speaks(0.3) == [HoldPlayback(1)]
    assert shell.hears(1.0, "Look at", final=False) == []
    assert shell.hears(1.8, "Look at that!") == [ResumePlayback(1)]
    shell.observer.handle(PlaybackAcked(2.5, 1, 20))
    shell.speaks(3.0, "b")
    assert kinds(shell.hears(3.8, "I see him.", "b")) == ["CutPlayback", "PlaybackCut"]


def test_commentary_that_waits_is_dropped_when_somebody_has_spoken() -> None:
    shell = SpokenShell()
    shell.speaks(0.0)
    effects = shell.says(0.5, CAME)
    assert "Play" not in kinds(effects)
    assert shell.stops(0.9, 0.9) == []
    assert shell.hears(1.5, "Who is that?") == [PlaybackCut(1, 1.5, "")]


def test_a_result_is_no_commentary() -> None:
    shell = SpokenShell()
    shell.says(0.0, "Let me find out. </delegation> Who built it?")
    shell.ended(3.0, 1, 100)
    shell.observer.handle(TaskChanged(3.5, "task_1", "completed", "A. Builder"))
    shell.speaks(4.0)
    shell.says(5.5, "A. Builder built this house, a long time ago.")
    assert shell.hears(6.0, "Who is that?") == [Play(2)]


def test_without_a_voice_nothing_of_this_happens() -> None:
    shell = Shell()
    shell.says(0.0, SMILES)
    shell.observer.handle(PlaybackAcked(0.5, 1, 5))
    assert not shell.observer.playing
    assert kinds(shell.tick(1.0)) == ["Append", "AskScore"]
