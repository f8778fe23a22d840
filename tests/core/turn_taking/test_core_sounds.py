"""Sounds fire the watches that name them, with every engine."""

from typing import Any

from fakes.media.frames import EPOCH
from fakes.observing import CAME, GUEST, Shell, kinds, only
from fakes.speaking import SpokenShell
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.decision.utterances import Utterances
from joyvl_server.core.decisions import Decision, Suppressed, Urgency
from joyvl_server.core.effects import Append, CutPlayback, Decided, Effect, Play, PlaybackCut, UtteranceDone
from joyvl_server.core.inputs import SoundHeard
from joyvl_server.core.observer import StepState
from joyvl_server.core.prompt.composer import PromptComposer
from joyvl_server.core.prompt.context import Context
from joyvl_server.core.prompt.turns import Look
from joyvl_server.core.turn_taking.sounds import MOST, SoundWatches
from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.watches import Watch, watch_set

ALARM = Watch("alarm", "alarm", "Tell me when the smoke alarm sounds", kinds=(WatchKind.SMOKE_ALARM,))
NOISE = Watch("noise", "noise", "noise", zones=("door",), threshold=1.0, kinds=(WatchKind.LOUD, WatchKind.ENTER))
SOUNDING = "A smoke alarm is sounding."


def sound(shell: Shell, t: float, kind: WatchKind = WatchKind.SMOKE_ALARM) -> list[Effect]:
    effects = shell.observer.handle(SoundHeard(t + 0.5, EPOCH + t, kind, t))
    shell.step += bool(effects)
    return effects


def test_a_watch_that_names_it_fires() -> None:
    shell = Shell(follows_instructions=False)
    shell.watch(0.0, ALARM, NOISE, GUEST)
    effects = sound(shell, 1.0)
    assert kinds(effects) == ["UtteranceDelta", "UtteranceDone", "Decided"]
    assert only(effects, UtteranceDone) == UtteranceDone(1, 1.0, EPOCH + 1.0, SOUNDING, Urgency.ALERT)
    assert only(effects, Decided) == Decided(
        1,
        1.0,
        EPOCH + 1.0,
        Decision.SPEAK,
        Look.SKIP,
        score=1.0,
        kind="smoke_alarm",
        text=SOUNDING,
        epoch=1,
        watches=("alarm",),
    )
    assert only(sound(shell, 1.0, WatchKind.LOUD), Decided).watches == ("noise",)


def test_others_do_not() -> None:
    shell = Shell()
    assert sound(shell, 0.0) == []
    shell.watch(0.0, GUEST, NOISE)
    assert sound(shell, 1.0) == []
    assert sound(shell, 1.0, WatchKind.ENTER) == []  # that is seen, not heard


def test_not_again_and_again() -> None:
    shell = Shell()
    shell.watch(0.0, ALARM)
    sound(shell, 1.0)
    again = only(sound(shell, 20.0), Decided)
    assert (again.decision, again.suppressed, again.watches) == (Decision.SILENT, Suppressed.COOLDOWN, ())
    shell.watch(21.0, ALARM, Watch("more", "more", "more", kinds=(WatchKind.SMOKE_ALARM,)))
    assert only(sound(shell, 22.0), Decided).watches == ("more",)
    assert only(sound(shell, 40.0), Decided).watches == ("alarm",)


def test_also_in_mid_step_and_the_model_is_told() -> None:
    shell = Shell()
    shell.watch(0.0, ALARM)
    shell.tick(1.0)
    shell.score(1.0)
    shell.text(1.1, f"{CAME} He")
    assert only(sound(shell, 1.2), UtteranceDone).epoch == 2
    assert shell.observer.state is StepState.SPEAKING
    assert kinds(shell.done(1.5))[-1] == "Decided"  # no second is asked for
    told = "[Sound] A smoke alarm is sounding. People were told."
    assert told in only(shell.tick(2.0), Append).turn.news


def test_it_is_played_before_all_else() -> None:
    shell = SpokenShell()
    shell.says(0.0, CAME)
    shell.watch(0.5, ALARM)
    effects = sound(shell, 1.0)
    assert effects[-3:] == [CutPlayback(1), PlaybackCut(1, 1.5, ""), Play(2)]
    shell.ended(3.0, 2, len(SOUNDING))
    shell.tick(3.1)
    shell.score(3.1, 0.0)


def test_what_is_remembered_is_bounded() -> None:
    config: Any = ObserverConfig()
    composer = PromptComposer(config, Context(config))
    sounds = SoundWatches(composer, Utterances())
    for number in range(MOST + 5):
        watch = Watch(str(number), "w", "w", kinds=(WatchKind.QUIET,))
        composer.watches_changed(watch_set([watch]))
        sounds.heard(SoundHeard(1.0, 1.0, WatchKind.QUIET, 1.0), number, config)
    assert len(sounds._fired) == MOST
