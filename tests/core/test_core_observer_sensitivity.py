"""The machine's sensitivity: the threshold to the last digit, and scores that hover about it."""

import math

import pytest

from fakes.observing import CAME, POST, Shell, kinds, only
from joyvl_server.core.decisions import Decision, Suppressed
from joyvl_server.core.effects import Decided


@pytest.mark.parametrize("threshold", [0.001, 0.1, 0.37, 0.5, 0.9, 1.0])
def test_a_fresh_session_speaks_exactly_at_its_threshold(threshold) -> None:
    for value, speaks in ((threshold, True), (math.nextafter(threshold, 0.0), False)):
        for live in (False, True):
            shell = Shell(threshold=0.2 if live else threshold)
            if live:
                shell.configure(0.0, threshold=threshold)
            shell.tick(0.0)
            assert (kinds(shell.score(0.1, value)) == ["Say"]) is speaks


def test_moving_the_sensitivity_flips_the_decision() -> None:
    shell = Shell(cooldown_s=0.0)
    decisions = []
    for t, threshold in enumerate((0.3, 0.31, 0.3, 0.2, 0.9)):
        shell.configure(t, threshold=threshold)
        decisions.append(only(shell.says(t, f"This is remark number {t}.", 0.3), Decided).decision is Decision.SPEAK)
    assert decisions == [True, False, True, True, False]


def test_a_score_that_hovers_is_held_back_until_it_has_fallen() -> None:
    shell = Shell(cooldown_s=0.0, hysteresis=0.1)
    told = []
    for t, value in enumerate((0.5, 0.55, 0.45, 0.55, 0.39, 0.5, 0.59, 0.6)):
        decided = only(shell.says(t, f"This is remark number {t}.", value), Decided)
        told.append(decided.suppressed or decided.decision)
    silent, speak, hovering = Decision.SILENT, Decision.SPEAK, Suppressed.HOVERING
    assert told == [speak, hovering, silent, hovering, silent, speak, hovering, speak]


def test_the_hysteresis_is_over_with_the_window_and_when_a_watch_changes() -> None:
    shell = Shell(cooldown_s=0.0, duplicate_window_s=10.0)
    shell.says(0.0, CAME, 0.55)
    assert only(shell.says(9.0, "Another one came.", 0.55), Decided).suppressed is Suppressed.HOVERING
    assert only(shell.says(10.0, "Another one came.", 0.55), Decided).decision is Decision.SPEAK
    shell.watch(11.0, POST)
    assert only(shell.says(12.0, "The postman has come.", 0.55), Decided).decision is Decision.SPEAK


def test_answers_neither_hover_nor_make_hot() -> None:
    shell = Shell(cooldown_s=0.0)
    shell.says(0.0, CAME, 0.55)
    shell.ask(1.0)
    assert only(shell.says(1.0, "It is red, I think.", 0.55), Decided).decision is Decision.SPEAK
    calm = Shell(cooldown_s=0.0)
    calm.ask(0.0)
    calm.says(0.0, "It is red, I think.", 0.55)
    assert only(calm.says(1.0, CAME, 0.55), Decided).decision is Decision.SPEAK


def test_what_was_not_said_does_not_make_hot() -> None:
    shell = Shell(cooldown_s=0.0)
    shell.says(0.0, " ", 0.55)
    shell.tick(1.0)
    shell.score(1.1, 0.55)
    shell.text(1.2, f"{CAME} He")
    shell.fail(1.3)  # broken off: it may be said again
    assert only(shell.says(2.0, CAME, 0.55), Decided).decision is Decision.SPEAK


def test_engines_that_name_what_they_see_are_exempt() -> None:
    shell = Shell(cooldown_s=0.0)
    for t in range(3):
        decided = only(shell.says(t, f"This is remark number {t}.", 0.55, kind="enter", key=str(t)), Decided)
        assert decided.decision is Decision.SPEAK
    assert only(shell.says(3.0, CAME, 0.55), Decided).decision is Decision.SPEAK
