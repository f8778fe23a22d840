"""What plays and what waits: one at a time, the most urgent first, nothing for ever."""

import pytest

from fakes.media.frames import EPOCH
from fakes.observing import CAME, GUEST, kinds, only
from fakes.speaking import SpokenShell
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Decision, Suppressed
from joyvl_server.core.effects import CutPlayback, Decided, HoldPlayback, Play, PlaybackCut, ResumePlayback
from joyvl_server.core.inputs import QueryAsked, SpeechStarted
from joyvl_server.core.turn_taking.playback import GRACE_S, MOST, START_S, Playback, PlayedUtterance, Rank, speaking_s
from joyvl_server.core.turn_taking.user_speech import MOST_OPEN, MOST_S, WORDS_S
from joyvl_server.core.turn_taking.words import Meaning, is_backchannel, is_stop, meaning, words_heard
from joyvl_server.core.watches.watches import Watch

LEFT = "Something left on the right."
ANY = Watch("any", "any", "any")


class Player:
    """A playback alone, with texts of its own."""

    def __init__(self) -> None:
        self.utterances = Utterances()
        self.playback = Playback(self.utterances, 8.0)

    def add(self, at: float, rank: Rank, text: str = CAME):
        epoch = self.utterances.begin()
        self.utterances.write(epoch, text)
        effects = self.playback.add(PlayedUtterance(epoch, rank, at, written=True))
        return effects + self.playback.advance(at, listening=False)

    def end(self, at: float, epoch: int):
        self.playback.ended(epoch, at, shown=False)
        return self.playback.advance(at, listening=False)


def test_the_most_urgent_comes_first_and_equals_in_order() -> None:
    player = Player()
    assert player.add(0.0, Rank.ALERT) == [Play(1)]
    ranks = (Rank.REMARK, Rank.RESULT, Rank.ANSWER, Rank.ALERT, Rank.ANSWER)
    assert [player.add(0.1, rank) for rank in ranks] == [[]] * 5
    order = [1]
    while effects := player.end(0.2, order[-1]):
        order.append(effects[0].epoch)
    assert order == [1, 5, 4, 6, 3, 2]


@pytest.mark.parametrize("rank", list(Rank)[:-1])
def test_a_more_urgent_one_cuts_a_less_urgent_one(rank: Rank) -> None:
    player = Player()
    player.add(0.0, rank)
    player.utterances.hear(1, 9)
    assert player.add(1.0, Rank(rank + 1)) == [CutPlayback(1), PlaybackCut(1, 1.0, "A man"), Play(2)]
    assert player.add(2.0, rank) == []


def test_only_the_newest_commentary_waits_and_not_for_long() -> None:
    player = Player()
    player.add(0.0, Rank.ALERT)
    assert player.add(1.0, Rank.REMARK) == []
    assert player.add(2.0, Rank.REMARK) == [PlaybackCut(2, 2.0, "")]
    assert player.playback.advance(9.9, listening=False) == []
    assert player.playback.advance(10.0, listening=False) == [PlaybackCut(3, 10.0, "")]


def test_what_waits_is_bounded_and_alerts_stay() -> None:
    player = Player()
    player.add(0.0, Rank.ALERT)
    player.add(0.0, Rank.ANSWER)
    for _ in range(MOST - 1):
        assert player.add(0.0, Rank.ALERT) == []
    assert player.add(0.0, Rank.ALERT) == [PlaybackCut(2, 0.0, "")]
    assert player.add(0.0, Rank.ALERT) == [PlaybackCut(3, 0.0, "")]


def test_others_than_the_present_one_do_not_matter() -> None:
    player = Player()
    player.add(0.0, Rank.ALERT)
    player.playback.report(7, 1.0)
    player.playback.ended(7, 1.0, shown=False)
    assert player.playback.current is not None
    assert Playback(player.utterances, 1.0).hold() == []
    assert Playback(player.utterances, 1.0).cut(0.0) == []


# -------------------------------------------------------------------------------------------------- missing reports


def test_without_any_report_it_counts_as_shown() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    limit = START_S + GRACE_S + speaking_s(CAME)
    assert kinds(shell.passes_unseen(limit - 0.1)) == ["Decided"]
    assert kinds(shell.passes_unseen(limit + 0.1)) == ["Decided", "CutPlayback"]
    assert not shell.observer.playing
    shell.tick(limit + 1)
    assert shell.score(limit + 1, 0.0)


def test_a_playback_that_falls_silent_ends_with_what_was_heard() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    shell.acked(1.0, 1, 5)
    assert shell.passes_unseen(2.0 + GRACE_S + speaking_s(CAME))[1:] == [
        CutPlayback(1),
        PlaybackCut(1, 2.0 + GRACE_S + speaking_s(CAME), "A man"),
    ]


def test_time_that_jumps_back_ends_it() -> None:
    shell = SpokenShell()
    shell.says(9.0, CAME)
    assert "CutPlayback" in kinds(shell.passes_unseen(0.0))


def test_chinese_takes_longer() -> None:
    assert speaking_s("有人进来了") == pytest.approx(1.75)
    assert speaking_s("Hello") == pytest.approx(0.5)


def test_speech_without_an_end_holds_nothing_for_ever() -> None:
    shell = SpokenShell()
    shell.watch(0.0, GUEST)
    shell.says(0.0, CAME)  # an alert: it is not cut, but held
    assert shell.speaks(0.5) == [HoldPlayback(1)]
    assert kinds(shell.passes_unseen(MOST_S)) == ["Decided"]
    assert kinds(shell.passes_unseen(MOST_S + 1)) == ["Decided", "ResumePlayback"]


def test_speech_without_words_holds_nothing_for_ever() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    shell.speaks(0.5)
    shell.lasts(0.9)
    shell.stops(1.1, 0.6)
    assert kinds(shell.passes_unseen(1.2 + WORDS_S)) == ["Decided"]
    assert shell.passes_unseen(1.5 + WORDS_S)[-1] == ResumePlayback(1)


def test_speeches_are_bounded() -> None:
    shell = SpokenShell()
    for number in range(MOST_OPEN + 3):
        shell.observer.handle(SpeechStarted(0.0, str(number), 0.0))
    assert len(shell.observer._voice._speech._open) == MOST_OPEN


# ---------------------------------------------------------------------------------------------- in the machine


def test_while_somebody_speaks_only_alerts_begin() -> None:
    shell = SpokenShell(cooldown_s=0.0)
    shell.speaks(0.0)
    shell.ask(0.1)
    assert "Play" not in kinds(shell.says(0.2, "The car is blue."))
    shell.watch(0.3, ANY)
    assert Play(2) in shell.says(0.9, CAME)
    shell.ended(1.0, 2, 100)
    shell.stops(1.1, 1.1)
    assert shell.hears(1.5, "Who is that?") == [Play(1)]


def test_an_alert_cuts_what_is_held() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME, kind="enter")
    shell.speaks(0.5)
    shell.watch(0.6, ANY)
    shell.says(1.0, LEFT, kind="leave")
    assert shell.observer._voice._playback.current.epoch == 2
    assert shell.hears(1.4, "Who is that?") == []  # said before the alert began
    assert shell.observer.playing


def test_what_nobody_could_hear_was_shown() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    assert shell.ended(1.0, 1, None) == []
    shell.silent(2.0)
    assert only(shell.says(4.0, CAME), Decided).suppressed is Suppressed.DUPLICATE


def test_a_voice_that_breaks_off_is_told() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    shell.ended(1.0, 1, 6)
    assert shell.tick(2.0)[0].turn.news == ('[Interrupted] Only this was heard: "A man"',)


def test_a_playback_may_end_before_the_text() -> None:
    shell = SpokenShell()
    shell.tick(0.0)
    shell.score(0.0)
    shell.text(0.1, f"{CAME} He")
    shell.ended(0.5, 1, None)
    shell.text(0.6, " smiles.")
    assert kinds(shell.done(0.7)) == ["UtteranceDone", "Settle", "Decided"]
    assert not shell.observer.playing


def test_remarks_wait_for_the_playback_and_alerts_only_for_their_own() -> None:
    shell = SpokenShell(cooldown_s=0.0, hysteresis=0.0)
    shell.says(0.0, CAME, kind="enter", key="1")
    assert only(shell.says(3.0, CAME, kind="enter", key="2"), Decided).suppressed is Suppressed.COOLDOWN
    assert only(shell.says(4.0, LEFT, kind="leave"), Decided).decision is Decision.SPEAK  # it waits
    shell.watch(5.0, GUEST, ANY)
    alert = only(shell.says(6.0, "Another one came in.", kind="enter", key="3"), Decided)
    assert (alert.decision, set(alert.watches)) == (Decision.SPEAK, {"guest", "any"})
    assert only(shell.says(9.0, "And one more came.", kind="enter", key="4"), Decided).suppressed is Suppressed.COOLDOWN


def test_what_the_server_says_is_played_too() -> None:
    shell = SpokenShell(follows_instructions=False)
    effects = shell.observer.handle(QueryAsked(0.0, "q", "Who?", EPOCH))
    assert kinds(effects) == ["UtteranceDelta", "UtteranceDone", "QueryClosed", "Play"]
    shell.ended(5.0, 1, 500)


def test_a_voice_comes_and_goes() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    assert shell.configure(1.0, voice=False) == [CutPlayback(1)]
    assert shell.configure(1.5, half_duplex=True) == []
    shell.tick(3.0)
    shell.score(3.0)
    shell.text(3.1, f"{LEFT} It")
    assert shell.configure(3.2, voice=True) == []
    assert shell.text(3.3, " is big.") != []
    assert kinds(shell.done(3.4)) == ["UtteranceDone", "Settle", "Decided"]
    shell.configure(4.0, stale_s=2.0)
    shell.tick(9.0)
    shell.score(9.0)
    assert Play(3) in shell.text(9.1, "A dog came in through the door. It")
    assert shell.configure(9.2, voice=False) == [CutPlayback(3)]
    assert "Play" not in kinds(shell.done(9.3))


# ----------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("mm-hmm", Meaning.BACKCHANNEL),
        ("Yes. Okay.", Meaning.BACKCHANNEL),
        ("对对对", Meaning.BACKCHANNEL),
        ("好的好的好的" * 30 + "吗", Meaning.WORDS),
        ("Yes, but who is it?", Meaning.WORDS),
        ("stop the car", Meaning.WORDS),
        ("OK, stop please.", Meaning.STOP),
        ("好了，别说了", Meaning.STOP),
        ("Sei still!", Meaning.STOP),
        ("...", Meaning.NOTHING),
    ],
)
def test_what_words_mean(text: str, means: Meaning) -> None:
    assert meaning(text) is means
    assert is_backchannel(text) is (means is Meaning.BACKCHANNEL)
    assert is_stop(text) is (means is Meaning.STOP)


@pytest.mark.parametrize(
    ("characters", "heard"), [(0, ""), (1, "A"), (2, "A"), (5, "A man"), (6, "A man"), (8, "A man"), (30, CAME)]
)
def test_only_whole_words_were_heard(characters: int, heard: str) -> None:
    assert words_heard(CAME, characters) == heard
    assert words_heard("有人进来了。", 3) == "有人进"
    assert words_heard("ab", 1) == ""
