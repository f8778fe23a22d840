from fakes.frames import make_frame
from joyvl_server.core.turns import ImagePart, Look


def test_a_glance_sends_the_small_picture_where_there_is_one() -> None:
    frame = make_frame(0.0, glance=True)
    assert ImagePart(frame, Look.FULL).image is frame.image
    assert ImagePart(frame, Look.GLANCE).image is frame.glance
    plain = make_frame(0.0)
    assert ImagePart(plain, Look.GLANCE).image is plain.image
