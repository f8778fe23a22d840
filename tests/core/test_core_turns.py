from base64 import urlsafe_b64decode
from dataclasses import replace

from fakes.frames import make_frame
from joyvl_server.core.turns import SILENCE, Chunk, ImagePart, Look, Second, SettledTurn, UserTurn


def test_a_glance_sends_the_small_picture_where_there_is_one() -> None:
    frame = make_frame(0.0, glance=True)
    assert ImagePart(frame, Look.FULL).image is frame.image
    assert ImagePart(frame, Look.GLANCE).image is frame.glance
    plain = make_frame(0.0)
    assert ImagePart(plain, Look.GLANCE).image is plain.image


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
