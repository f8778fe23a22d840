from base64 import urlsafe_b64decode
from dataclasses import replace

from fakes.media.frames import make_frame, plain_grey
from joyvl_server.core.frame import Frame
from joyvl_server.core.prompt.turns import SILENCE, Chunk, ImagePart, Look, Second, SettledTurn, UserTurn


def test_a_glance_sends_the_small_picture_where_there_is_one() -> None:
    frame = make_frame(0.0, glance=True)
    assert ImagePart.of(frame, Look.FULL).image is frame.image
    assert ImagePart.of(frame, Look.GLANCE).image is frame.glance
    plain = make_frame(0.0)
    assert ImagePart.of(plain, Look.GLANCE).image is plain.image


def test_requests_name_a_picture_by_half_of_its_hash() -> None:
    image = make_frame(0.0).image
    assert len(image.name) == 22
    assert urlsafe_b64decode(image.name + "==").hex() == image.sha256[:32]


def test_turns_of_a_lead_are_glances_in_its_time_but_where_somebody_spoke() -> None:
    chunk = Chunk(2, "", origin=10.0)
    backlog = (Second((make_frame(11.0),)),)
    turn = UserTurn(1, 12.0, make_frame(12.0), backlog=backlog)
    lead = chunk.leading(SettledTurn(turn, SILENCE)).user
    assert (lead.t, lead.look, lead.backlog[0].look) == (2.0, Look.GLANCE, Look.GLANCE)
    assert chunk.leading(SettledTurn(turn, "</response> Hello.")).user.look is Look.FULL
    assert chunk.leading(SettledTurn(replace(turn, query="Who?"), SILENCE)).user.look is Look.FULL
    again = SettledTurn(lead, SILENCE)
    assert chunk.leading(again) is again


def with_bytes(frame: Frame) -> Frame:
    """The frame with bytes in its JPEGs and a grey picture before it."""
    assert frame.glance is not None
    return replace(
        frame,
        image=replace(frame.image, jpeg=b"full"),
        glance=replace(frame.glance, jpeg=b"small"),
        trail=((frame.t - 0.2, plain_grey()),),
    )


def jpegs(turn: UserTurn) -> list[tuple[bytes, bytes]]:
    """The bytes of every frame's picture and small picture, oldest first."""
    return [(f.image.jpeg, f.glance.jpeg if f.glance else b"") for s in turn.seconds for f in s.frames]


def test_a_context_keeps_what_may_be_sent_again_and_nothing_else() -> None:
    first, second, third = (with_bytes(make_frame(t, glance=True)) for t in (0.0, 1.0, 1.5))
    turn = UserTurn(1, 1.5, third, burst=(second,), backlog=(Second((first,), Look.GLANCE),))
    kept = turn.kept()
    assert jpegs(kept) == [(b"", b"small"), (b"full", b"small"), (b"full", b"small")]
    assert all(f.grey.size == 0 and f.trail == () for s in kept.seconds for f in s.frames)
    assert [f.image.name for s in kept.seconds for f in s.frames] == [f.image.name for f in (first, second, third)]
    assert kept.kept() == kept
    assert jpegs(turn.kept(pictures=False)) == [(b"", b"")] * 3


def test_a_glance_without_a_small_picture_keeps_its_only_one() -> None:
    plain = make_frame(0.0)
    frame = replace(plain, image=replace(plain.image, jpeg=b"full"))
    assert UserTurn(1, 0.0, frame, Look.GLANCE).kept().frame.image.jpeg == b"full"


def test_frames_are_the_same_that_show_the_same_whatever_is_kept_of_them() -> None:
    frame = make_frame(0.0, plain_grey(1))
    assert frame == replace(frame, grey=plain_grey(2), trail=((0.0, plain_grey()),))
    assert frame != make_frame(1.0)
