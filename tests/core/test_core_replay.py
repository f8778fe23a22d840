import base64
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given

from fakes.logs import CONFIGS, logs, many
from fakes.media.frames import make_frame
from joyvl_server.core.config import ObserverConfig
from joyvl_server.core.effects import Append, BeginChunk, Effect, PrepareChunk, Write
from joyvl_server.core.errors import ConfigError
from joyvl_server.core.inputs import ConfigChanged, Input, Passed, QueryAsked, Tick
from joyvl_server.core.observer import Observer
from joyvl_server.core.prompt.turns import Draft
from joyvl_server.core.replay import (
    decode_effect,
    decode_header,
    decode_input,
    encode_effect,
    encode_input,
    encode_step,
    header,
    replay,
)


def line(entry: object) -> str:
    return json.dumps(entry, separators=(",", ":")) + "\n"


def through_json(data: dict) -> dict:
    return json.loads(json.dumps(data, allow_nan=False))


@many
@given(logs())
def test_a_recorded_log_replays_to_the_same_effects(log) -> None:
    lines = [line(header(log.config)), *(line(encode_step(input, effects)) for input, effects in log.steps)]
    again = [encode_step(input, effects) for input, effects in replay(lines)]
    assert again == [encode_step(input, effects) for input, effects in log.steps]


@many
@given(logs())
def test_inputs_and_effects_survive_the_round_trip(log) -> None:
    for input, effects in log.steps:
        read = decode_input(through_json(encode_input(input)))
        assert encode_input(read) == encode_input(input)
        if isinstance(input, Tick | Passed):
            assert len(read.burst) == len(input.burst)
            assert np.array_equal(read.frame.grey, input.frame.grey)
            assert (read.frame.t, read.frame.image, read.frame.glance) == (
                input.frame.t,
                input.frame.image,
                input.frame.glance,
            )
        else:
            assert read == input
        for effect in effects:
            read = decode_effect(through_json(encode_effect(effect)))
            assert encode_effect(read) == encode_effect(effect)
            if not isinstance(effect, BeginChunk | PrepareChunk | Append | Write):
                assert read == effect


@given(CONFIGS)
def test_the_config_survives_in_the_header(config) -> None:
    assert decode_header(through_json(header(config))) == config


def test_effects_name_pictures_and_inputs_hold_the_grey_one() -> None:
    frame = make_frame(0.0)
    begin, append, _ = Observer(ObserverConfig()).handle(Tick(0.0, frame))
    assert encode_effect(append)["turn"]["frame"]["grey"] is None
    assert decode_effect(encode_effect(append)).turn.frame.grey.shape == (0, 0)
    assert encode_input(Tick(0.0, frame))["frame"]["image"] == {
        "sha256": frame.image.sha256,
        "width": 640,
        "height": 360,
    }
    assert "jpeg" not in json.dumps(encode_effect(begin))


def test_a_draft_is_logged_without_the_words_of_its_prompt() -> None:
    effect = Write(Draft("d3", "Sum up what happened.", 120, system="You sum up."))
    logged = through_json(encode_effect(effect))
    assert "Sum up" not in json.dumps(logged)
    assert decode_effect(logged) == Write(Draft("d3", "", 120))


def test_a_field_that_is_new_takes_its_default() -> None:
    assert decode_input({"type": "QueryAsked", "at": 1, "id": "q", "text": "Why?"}) == QueryAsked(1.0, "q", "Why?")


def test_every_input_and_effect_has_a_name_of_its_own() -> None:
    names = [cls.__name__ for cls in get_args(Input) + get_args(Effect)]
    assert len(names) == len(set(names))


def test_a_file_may_hold_several_logs() -> None:
    tick = line(encode_step(Tick(0.0, make_frame(0.0)), []))
    head = line(header(ObserverConfig()))
    assert [len(effects) for _, effects in replay([head, tick, head, tick])] == [3, 3]


def test_a_last_line_that_was_cut_off_is_left_out() -> None:
    head, tick = line(header(ObserverConfig())), line(encode_step(Tick(0.0, make_frame(0.0)), []))
    assert len(list(replay([head, tick, tick[:40]]))) == 1
    with pytest.raises(ConfigError, match="Line 2 of the log is not JSON"):
        list(replay([head, tick[:40], tick]))


GREY = {"shape": [1, 2], "zlib": base64.b64encode(zlib.compress(b"ab")).decode()}


def tick_with(**frame: object) -> dict:
    data = encode_input(Tick(0.0, make_frame(0.0)))
    return {"in": {**data, "frame": {**data["frame"], "grey": GREY, **frame}}}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ([], "list indices"),
        ({}, "'in'"),
        ({"in": {"type": "Tock"}}, "'Tock'"),
        ({"in": {"type": "QueryAsked", "at": 0.0, "id": 7, "text": ""}}, "7 is not str"),
        ({"in": {"type": "QueryAsked", "at": "now", "id": "q", "text": ""}}, "'now' is not float"),
        ({"in": {"type": "QueryAsked", "at": 0.0}}, "missing 2 required"),
        ({"in": {"type": "QueryWithdrawn", "at": 0.0, "id": "q", "why": ""}}, "'why'"),
        ({"in": {"type": "TickSkipped", "at": 0.0, "wall": 0.0, "reason": "bored"}}, "'bored' is not a valid Skip"),
        (tick_with(grey={**GREY, "shape": [4000, 4000]}), "too large"),
        (tick_with(grey={**GREY, "shape": [2, 2]}), "reshape"),
        (tick_with(grey={**GREY, "zlib": "!"}), "damaged"),
        (tick_with(grey={**GREY, "zlib": "YWJj"}), "damaged"),
        ({"in": {"type": "SaidDone", "at": 0.0, "step": 9}}, "does not follow .* step 9"),
    ],
)
def test_a_damaged_line_is_named(entry, says) -> None:
    with pytest.raises(ConfigError, match=f"Line 2 of the log .*{says}"):
        list(replay([line(header(ObserverConfig())), line(entry)]))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "The log is empty"),
        (["not JSON"], "Line 1 of the log is not JSON"),
        ([line(tick_with())], "not an input log of joyvl"),
        (["[]"], "not an input log of joyvl"),
        ([line({"joyvl_log": 99, "config": {}})], "The log has version 99; this server reads versions 1 to 2"),
        ([line({"joyvl_log": 2})], "header of the log cannot be read"),
        ([line({"joyvl_log": 2, "config": {"fidelity": "sloppy"}})], "'sloppy' is none of 'faithful', 'adaptive'"),
        ([line({"joyvl_log": 2, "config": {"context_tokens": 10}})], "too small"),
    ],
)
def test_what_is_no_log_is_refused_in_words(lines, says) -> None:
    with pytest.raises(ConfigError, match=says):
        list(replay(lines))


def test_the_trail_is_not_logged() -> None:
    frame = replace(make_frame(3.0), trail=((2.8, np.zeros((4, 6), np.uint8)),))
    entry = encode_input(Tick(3.0, frame))
    assert "trail" not in entry["frame"]
    assert decode_input(through_json(entry)).frame.trail == ()


def version_1() -> list[str]:
    """A session that a server recorded before the engine's facts had a place of their own."""
    return (Path(__file__).parent / "logs" / "version_1.jsonl").read_text().splitlines()


def test_a_log_of_version_1_replays_to_what_was_recorded() -> None:
    lines = version_1()
    steps = list(replay(lines))
    assert len(steps) == len(lines) - 1
    for text, (_, effects) in zip(lines[1:], steps, strict=True):
        now = [through_json(encode_effect(effect)) for effect in effects]
        recorded = json.loads(text)["out"]
        assert [effect["type"] for effect in now] == [effect["type"] for effect in recorded]
        for effect, then in zip(now, recorded, strict=True):
            if then["type"] == "Write":  # the words of a prompt are left out now
                for words in ("instruction", "system"):
                    del then["draft"][words]
            assert {name: effect[name] for name in then} == then


def test_what_changed_live_in_version_1_is_a_config_now() -> None:
    changes = [input.config for input, _ in replay(version_1()) if isinstance(input, ConfigChanged)]
    assert [(config.threshold, config.fidelity) for config in changes] == [(0.3, "adaptive"), (0.3, "eco")]
    assert all(config.engine.chooses and config.context_tokens == 2600 for config in changes)


def test_a_version_is_that_of_its_own_header() -> None:
    old, new = version_1()[0], line(header(ObserverConfig()))
    sense = line({"in": {"type": "SensitivityChanged", "at": 1.0, "threshold": 0.4}})
    assert [input.config.threshold for input, _ in replay([new, old, sense])] == [0.4]
    with pytest.raises(ConfigError, match="Line 3 of the log cannot be read: 'SensitivityChanged'"):
        list(replay([old, new, sense]))
