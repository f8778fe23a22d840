from __future__ import annotations

import pytest

from joyvl_server.core.watches.zones import Box, Zone
from joyvl_server.engines.motion.words import WHOLE_VIEW, WITH_PLACE, sentence

DOOR = Zone("the door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))


@pytest.mark.parametrize(
    ("box", "place"),
    [
        (Box(0.0, 0.2, 0.2, 0.9), "on the left"),
        (Box(0.4, 0.2, 0.6, 0.9), "near the middle"),
        (Box(0.8, 0.2, 1.0, 0.9), "on the right"),
    ],
)
def test_the_side_of_the_picture(box: Box, place: str):
    assert sentence("enter", box, ()) == f"Something came in {place}."


def test_a_named_zone_wins():
    assert sentence("leave", Box(0.0, 0.2, 0.2, 0.9), (DOOR,)) == "Something went away at the door."


@pytest.mark.parametrize("kind", WHOLE_VIEW)
def test_what_concerns_the_whole_view_names_no_place(kind: str):
    assert sentence(kind, None, (DOOR,)).endswith(".")


def test_every_kind_has_words():
    assert set(WITH_PLACE) | set(WHOLE_VIEW) == {
        "enter", "leave", "move", "still", "changed", "dark", "covered", "frozen", "camera_moving",
    }  # fmt: skip
