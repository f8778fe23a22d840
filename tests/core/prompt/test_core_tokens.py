import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.media.frames import make_frame
from joyvl_server.core.prompt.turns import SILENCE, ImagePart, Look, TextPart
from joyvl_server.core.prompt.wire_format import (
    IMAGE_MARKERS,
    answer_tokens,
    image_tokens,
    text_tokens,
    user_turn_tokens,
)


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (256, 192, 70),
        (384, 216, 84),
        (448, 252, 112),
        (640, 360, 220),
        (672, 384, 252),
        (640, 480, 300),
        (1280, 720, 880),
    ],
)
def test_images_cost_what_the_model_family_counts(width, height, tokens) -> None:
    assert image_tokens(width, height) == tokens + IMAGE_MARKERS


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_no_image_is_cheaper_than_the_floor(width, height) -> None:
    assert image_tokens(width, height) >= 64 + IMAGE_MARKERS


@given(st.text(), st.text())
def test_text_costs_at_least_what_its_parts_nearly_cost(a, b) -> None:
    assert 0 <= text_tokens(a + b) <= text_tokens(a) + text_tokens(b)
    assert text_tokens(a + b) >= max(text_tokens(a), text_tokens(b))


def test_digits_and_foreign_letters_cost_more_than_latin_words() -> None:
    assert text_tokens("<12.0 seconds>") == 9  # < 1 2 . 0 >, and seven letters with a space before them
    assert text_tokens("") == 0
    assert text_tokens("有人摔倒") == 8
    assert text_tokens("seven letters") == 5


def test_a_glance_costs_its_small_picture_where_there_is_one() -> None:
    small, plain = make_frame(0, glance=True), make_frame(0)
    cost = {
        name: user_turn_tokens((TextPart("x"), ImagePart.of(frame, look)))
        for name, frame, look in [
            ("full", small, Look.FULL),
            ("glance", small, Look.GLANCE),
            ("no small picture", plain, Look.GLANCE),
        ]
    }
    assert cost["glance"] < cost["full"] == cost["no small picture"]


def test_an_answer_costs_its_text_and_its_message() -> None:
    assert answer_tokens(SILENCE) == 6 + text_tokens(SILENCE)
