from joyvl_server.core.watches.kinds import WatchKind
from joyvl_server.core.watches.watches import Watch, WatchSet, watch_set
from joyvl_server.core.watches.zones import Box, Zone

DOOR = Zone("door", ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0)))
LEFT, RIGHT = Box(0.1, 0.4, 0.2, 0.6), Box(0.8, 0.4, 0.9, 0.6)
FALL = Watch("w1", "fall", "Tell me when someone falls")
GUEST = Watch("w2", "guest", "Tell me when someone comes", zones=("door",), threshold=0.2)


def test_paused_watches_are_kept_but_not_active() -> None:
    paused = Watch("w3", "x", "x", paused=True)
    assert watch_set([FALL, paused]).active == (FALL,)
    assert watch_set([FALL, paused]).watches == (FALL, paused)


def test_the_most_eager_watch_sets_the_threshold() -> None:
    assert WatchSet().threshold(0.5) == 0.5
    assert watch_set([FALL]).threshold(0.5) == 0.5
    assert watch_set([FALL, GUEST]).threshold(0.5) == 0.2
    assert watch_set([Watch("w", "w", "w", threshold=0.9)]).threshold(0.5) == 0.9


def test_a_sighting_concerns_the_watches_of_its_zone_and_those_without() -> None:
    watches = watch_set([FALL, GUEST], [DOOR])
    assert watches.looking_at(LEFT) == watches.matching(LEFT, "enter") == (FALL, GUEST)
    assert watches.looking_at(RIGHT) == watches.matching(RIGHT, "enter") == (FALL,)
    assert watches.looking_at(None) == watches.matching(None, "dark") == (FALL, GUEST)


def test_a_happening_concerns_the_watches_that_want_its_kind() -> None:
    comes = Watch("w4", "comes", "comes", kinds=(WatchKind.ENTER,))
    goes = Watch("w5", "goes", "goes", kinds=(WatchKind.LEAVE, WatchKind.DARK))
    watches = watch_set([FALL, comes, goes])
    assert watches.matching(LEFT, "enter") == (FALL, comes)
    assert watches.matching(LEFT, "dark") == (FALL, goes)
    assert watches.matching(LEFT, None) == (FALL, comes, goes)
    assert watch_set([comes]).matching(LEFT, "leave") == ()


def test_what_all_watches_together_want() -> None:
    comes = Watch("w4", "comes", "comes", kinds=(WatchKind.ENTER,))
    goes = Watch("w5", "goes", "goes", kinds=(WatchKind.DARK, WatchKind.LEAVE))
    assert watch_set([]).kinds == ()
    assert watch_set([goes, comes]).kinds == (WatchKind.ENTER, WatchKind.LEAVE, WatchKind.DARK)
    assert watch_set([goes, comes, FALL]).kinds == ()
    assert watch_set([comes, Watch("w6", "x", "x", paused=True)]).kinds == (WatchKind.ENTER,)


def test_changes_are_what_reads_or_looks_otherwise() -> None:
    before = watch_set([FALL, GUEST])
    reworded = Watch("w1", "fall", "Tell me when a child falls")
    moved = Watch("w2", "guest", GUEST.text, zones=("yard",))
    assert watch_set([FALL, GUEST]).changes_since(before) == ((), ())
    assert watch_set([FALL]).changes_since(before) == ((), (GUEST,))
    assert watch_set([reworded, moved]).changes_since(before) == ((reworded, moved), ())
    assert before.changes_since(WatchSet()) == ((FALL, GUEST), ())


def test_some_of_the_watches_have_a_lowest_threshold_and_names() -> None:
    watches = watch_set([FALL, GUEST, Watch("w3", "x", "x", threshold=0.1, paused=True)])
    assert watches.threshold_of(["w1"], 0.5) == 0.5
    assert watches.threshold_of(["w1", "w2", "w3"], 0.5) == 0.2
    assert watches.threshold_of([], 0.5) == 0.5
    assert watches.names(["w2", "w3", "w9"]) == ["guest", "x"]
