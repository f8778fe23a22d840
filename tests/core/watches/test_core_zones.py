import pytest

from joyvl_server.core.watches.zones import Box, Zone, place, region, side, zones_at

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
L_SHAPE = Zone("hall", ((0.0, 0.0), (1.0, 0.0), (1.0, 0.2), (0.2, 0.2), (0.2, 1.0), (0.0, 1.0)))


def square(x: float, y: float, half: float = 0.05) -> Zone:
    return Zone("z", ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)))


@pytest.mark.parametrize(
    ("point", "inside"),
    [((0.1, 0.1), True), ((0.9, 0.1), True), ((0.1, 0.9), True), ((0.9, 0.9), False), ((1.2, 0.1), False)],
)
def test_a_zone_holds_points_by_the_even_odd_rule(point, inside) -> None:
    assert L_SHAPE.holds(point) is inside


def test_a_zone_is_touched_by_the_centre_or_by_the_feet() -> None:
    floor = Zone("floor", ((0.0, 0.8), (1.0, 0.8), (1.0, 1.0), (0.0, 1.0)))
    standing = Box(0.1, 0.2, 0.2, 0.9)
    assert zones_at(standing, [DOOR, floor]) == ("door", "floor")
    assert zones_at(Box(0.6, 0.1, 0.7, 0.3), [DOOR, floor]) == ()


@pytest.mark.parametrize(("x", "name"), [(0.1, "left"), (0.5, "centre"), (0.9, "right")])
def test_sides_are_thirds(x, name) -> None:
    assert side(Box(x, 0.4, x, 0.6)) == name


def test_a_place_is_a_zone_where_there_is_one() -> None:
    assert place(Box(0.1, 0.4, 0.2, 0.6), [DOOR]) == "door"
    assert place(Box(0.8, 0.4, 0.9, 0.6), [DOOR]) == "right"


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (0.1, 0.1, "upper left"),
        (0.9, 0.1, "upper right"),
        (0.5, 0.1, "upper middle"),
        (0.1, 0.5, "left"),
        (0.5, 0.5, "centre"),
        (0.9, 0.5, "right"),
        (0.1, 0.9, "lower left"),
        (0.5, 0.9, "lower middle"),
    ],
)
def test_a_region_in_words(x, y, words) -> None:
    assert region(square(x, y)) == words
