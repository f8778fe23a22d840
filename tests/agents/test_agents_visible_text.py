import pytest

from joyvl_server.agents.visible_text import looks_empty, one_line, visible

FAMILY = "\U0001f469\u200d\U0001f52c"


@pytest.mark.parametrize(
    "hidden", ["\x1b", "\x00", "\x07", "\u202e", "\u2066", "\u200b", "\ufeff", "\U000e0041", "\ud800", "\ue000", "\xad"]
)
def test_what_hides_is_shown_as_hidden_or_left_out(hidden):
    assert visible(f"rm{hidden} -r") == "rm\ufffd -r"
    assert visible(f"rm{hidden} -r", instead="", joiners=True) == "rm -r"
    assert one_line(f" rm{hidden}\t\n -r ") == "rm\ufffd -r"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_ends_of_lines_are_one_kind(end):
    assert visible(f"a{end}b\tc{end}") == "a\nb\tc\n"


def test_joiners_stay_where_words_are_read_and_not_where_commands_are():
    assert visible(f"نمی\u200cخواهم {FAMILY}", joiners=True) == f"نمی\u200cخواهم {FAMILY}"
    assert visible("su\u200cdo") == "su\ufffddo"


@pytest.mark.parametrize(
    ("line", "empty"), [("", True), (" \t\u3000\xa0", True), ("\u2800 \u3164", True), (" .", False)]
)
def test_a_line_of_what_is_drawn_as_nothing_looks_empty(line, empty):
    assert looks_empty(line) is empty
