import io
import json
import logging

import pytest
import structlog

from joyvl_server.kit import logs


@pytest.fixture(autouse=True)
def restored():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_others_go_to_one_place_as_json():
    out = io.StringIO()
    logs.configure("info", "json", out)
    structlog.contextvars.bind_contextvars(session="ses_1")
    structlog.get_logger("joyvl.test").info("camera online", camera="door", size=(640, 480))
    logging.getLogger("some.library").warning("odd %s", "thing", extra={"n": 1})
    ours, theirs = lines(out)
    assert ours["event"] == "camera online"
    assert (ours["level"], ours["logger"], ours["camera"], ours["session"]) == ("info", "joyvl.test", "door", "ses_1")
    assert ours["size"] == [640, 480]
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"], theirs["n"]) == (
        "odd thing",
        "warning",
        "some.library",
        1,
    )


@pytest.mark.parametrize("format", ["json", "text"])
def test_no_secret_is_logged(format):
    out = io.StringIO()
    logs.configure("debug", format, out)
    url = "rtsp://cam:geheim@h/x"
    log = structlog.get_logger("joyvl.test")
    log.info(f"opening {url}", url=url, deep={"urls": [url, {"password": "geheim"}]}, api_key="geheim")
    log.error("bytes and objects", raw=url.encode(), error=ValueError(url))
    logging.getLogger("lib").error("cannot open %s", url, extra={"token": "geheim"})
    try:
        raise RuntimeError(f"cannot open {url}")
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("lib").exception("failed")
    text = out.getvalue()
    assert "geheim" not in text
    assert text.count("rtsp://cam:***@h/x") >= 8
    assert text.count("Traceback") == 2


def test_level_and_quiet_libraries():
    out = io.StringIO()
    logs.configure("info", "json", out)
    structlog.get_logger("joyvl").debug("hidden")
    logging.getLogger("aiortc.rtp").info("hidden")
    logging.getLogger("httpx2").info("hidden")
    logging.getLogger("aiortc.rtp").warning("shown")
    structlog.get_logger("joyvl").info("shown")
    assert [line["event"] for line in lines(out)] == ["shown", "shown"]


def test_the_last_configuration_counts():
    first, second = io.StringIO(), io.StringIO()
    logs.configure("info", "json", first)
    log = structlog.get_logger("joyvl")
    logs.configure("error", "json", second)
    log.info("hidden")
    log.error("shown")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["shown"]


def test_auto_is_json_where_nobody_watches_and_text_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    pipe, terminal = io.StringIO(), Terminal()
    logs.configure("info", "auto", pipe)
    structlog.get_logger("joyvl").info("hello")
    logs.configure("info", "auto", terminal)
    structlog.get_logger("joyvl").info("hello")
    assert lines(pipe)[0]["event"] == "hello"
    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
