"""Ticks as OpenTelemetry spans: the whole server's, in memory and at a real receiver; and nothing where that is off."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from fakes.media.media import picture
from fakes.patience import PATIENCE_S
from fakes.server.sessions import open_house
from joyvl_server.core.decisions import Score
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.clock import SystemClock
from joyvl_server.sessions.cameras import CameraDraft
from joyvl_server.sessions.machine.tick_timer import TickTimes
from joyvl_server.sessions.tracing import tick_traces
from joyvl_server.sessions.tracing.tick_traces import TickTraces, open_provider, open_traces
from joyvl_server.settings.traces import TraceSettings
from joyvl_server.store.ticks.records import TickRecord


async def ticks(folder, traces_for):
    """Some seconds of a camera: silent ones, then one that speaks."""
    async with open_house(folder) as house:
        house.registry.metrics.traces = traces_for(house.clock)
        view = await house.registry.cameras.add(CameraDraft(name="door", url="rtsp://192.168.1.20/1"))
        source = house.media.sources[view.record.id]
        for second in range(6):
            if second == 5:
                house.engine.script = lambda turn: (Score(0.9), [" Someone is", " at the door."])
            source.show(picture(house.clock.monotonic() - 1000, shade=60 + second))
            await house.clock.advance(1.0)
        return view.record.session_id


async def test_a_tick_is_one_span_with_its_phases(tmp_path):
    exporter = InMemorySpanExporter()
    provider = open_provider(TraceSettings())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    session = await ticks(tmp_path, lambda clock: TickTraces(provider, clock))
    spans = exporter.get_finished_spans()
    wholes = [span for span in spans if span.parent is None]
    assert len(wholes) >= 3
    for whole in wholes:
        assert (whole.name, whole.attributes["joyvl.session"]) == ("tick", session)
        children = [span for span in spans if span.parent and span.parent.span_id == whole.context.span_id]
        names = [child.name for child in children]
        spoke = whole.attributes["joyvl.decision"] != "silent"
        assert names == ["look", "lease", "append", "score", *(["say"] if spoke else [])]
        for child in children:
            assert whole.start_time <= child.start_time <= child.end_time <= whole.end_time
    assert [span.attributes["joyvl.decision"] for span in wholes][-1] == "speak"
    assert provider.resource.attributes["service.name"] == "joyvl-server"
    assert not any("door" in str(span.attributes) for span in spans)


async def test_without_traces_a_tick_keeps_no_times(tmp_path):
    await ticks(tmp_path, lambda clock: None)
    assert open_traces(TraceSettings(), SystemClock()) is None


@pytest.mark.processes
def test_off_nothing_of_it_is_imported():
    """FastAPI by itself imports OpenTelemetry's bare API where that is installed."""
    code = (
        "import sys; import joyvl_server.app, joyvl_server.compose\n"
        "from joyvl_server.sessions.tracing.tick_traces import open_traces\n"
        "from joyvl_server.settings.traces import TraceSettings\n"
        "assert open_traces(TraceSettings(), None) is None\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


def test_without_the_extra_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match="--with otel"):
        open_traces(TraceSettings(endpoint="http://127.0.0.1:4318/v1/traces"), SystemClock())


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.status == 200:
            self.server.got.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def record(id=1):
    return TickRecord(
        id=id, session_id="ses_1", t=1.0, wall=1.0, decision="silent", look="full", score=0.1, threshold=0.5
    )


def times():
    now = SystemClock().monotonic()
    return TickTimes(now - 0.5, now - 0.4, now - 0.4, now - 0.3, now - 0.2, now - 0.1)


def test_a_receiver_gets_what_waits_when_the_server_ends(receiver, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    settings = TraceSettings(endpoint=f"http://127.0.0.1:{receiver.server_port}/v1/traces", service="mine")
    traces = open_traces(settings, SystemClock())
    traces.took(record(), times())
    traces.close()
    ((path, request),) = receiver.got
    assert path == "/v1/traces"
    (resource,) = request.resource_spans
    assert {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"] == "mine"
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert sorted(names) == ["append", "lease", "look", "score", "tick"]


def test_a_receiver_that_refuses_is_told_once(receiver, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    receiver.status = 400
    settings = TraceSettings(endpoint=f"http://127.0.0.1:{receiver.server_port}/v1/traces")
    with capture_logs() as logs:
        traces = open_traces(settings, SystemClock())
        for number in range(2):
            traces.took(record(number), times())
            traces._provider.force_flush()
        receiver.status = 200
        traces.took(record(9), times())
        traces.close()
    assert [entry["event"] for entry in logs] == ["traces cannot be sent", "traces are sent again"]
    assert len(receiver.got) == 1


def test_only_a_share_is_traced(monkeypatch):
    provider = open_provider(TraceSettings())
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    shares = iter([0.1, 0.9, 0.2])
    monkeypatch.setattr(tick_traces.random, "random", lambda: next(shares))
    traces = TickTraces(provider, SystemClock(), 0.5)
    for number in range(3):
        traces.took(record(number), times())
    assert [span.attributes["joyvl.tick"] for span in exporter.get_finished_spans() if span.name == "tick"] == [0, 2]
