"""The alert rules and the dashboard name nothing that the server does not count; the rules do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from fakes.patience import PATIENCE_S
from fakes.server.house import house
from joyvl_server.core.decisions import Decision, Skip
from joyvl_server.ingest.base import SourceStatus
from joyvl_server.notify.outbox import HookHealth
from joyvl_server.sessions import payloads

DAY_S = 86_400.0
ROOT = Path(__file__).parents[2]
RULES = ROOT / "docker/prometheus/alerts.yaml"
TESTS = Path(__file__).with_name("alerts.yaml")
DASHBOARD = ROOT / "docker/grafana/joyvl.json"
OF_PROMETHEUS = {"instance", "job", "le", "alertname", "alertstate"}
VALUES = {
    ("joyvl_ticks_skipped", "reason"): {skip.value for skip in Skip},
    ("joyvl_sources", "status"): {status.value for status in SourceStatus},
    ("joyvl_decisions", "decision"): {decision.value for decision in Decision},
    ("joyvl_alert_messages", "outcome"): {"sent", "failed", "refused", "dead"},
}
"""of labels whose values the code names"""


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    yield from (rule["expr"] for rule in rules())
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


async def test_every_metric_and_label_they_name_is_there(tmp_path):
    async with house(tmp_path) as h:
        text = (await h.client.get("/metrics")).text
        shown = {family.name for family in text_string_to_metric_families(text)}
        registry = h.registry.metrics.registry
        labels = {}
        for collector in registry._collector_to_names:
            (family,) = collector.describe()
            labels[family.name] = set(collector._labelnames)
    named = 0
    for expression in expressions():
        known = set(OF_PROMETHEUS)
        for metric, matchers in re.findall(r"\b(joyvl_\w+)(?:\{([^}]*)\})?", expression):
            name = metric if metric in shown else re.sub(r"_(total|bucket|sum|count)$", "", metric)
            assert name in shown, f"{metric} is not in /metrics: {expression}"
            named += 1
            known |= labels[name]
            for label, value in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers):
                assert label in labels[name] | OF_PROMETHEUS, f"{metric} has no label {label}"
                values = VALUES.get((name, label))
                assert values is None or set(value.split("|")) <= values, f"{label} of {metric} is never {value}"
        for grouped in re.findall(r"\b(?:by|without) \(([^)]*)\)", expression):
            assert {label.strip() for label in grouped.split(",")} <= known, expression
    assert named > 60


async def test_the_numbers_of_machine_and_process_are_real(tmp_path):
    async with house(tmp_path) as h:
        text = (await h.client.get("/metrics")).text
    found = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    disk = shutil.disk_usage(tmp_path)
    assert found["joyvl_disk_size_bytes"] == disk.total
    assert 0 < found["joyvl_disk_free_bytes"] <= disk.total
    assert 1e7 < found["joyvl_process_resident_bytes"] < 1e11
    assert found["joyvl_process_open_files"] > 3
    assert found["joyvl_process_cpu_seconds_total"] > 0
    assert 1.7e9 < found["joyvl_process_start_seconds"] < 4e9
    assert found["joyvl_memory_fault"] == 0
    assert found["joyvl_hook_failing_seconds"] == 0


async def test_a_hook_that_fails_and_a_memory_that_is_away_are_counted(tmp_path):
    async with house(tmp_path) as h:
        now = h.registry.alerts._clock.monotonic()
        workers = {name: SimpleNamespace(health=HookHealth(since=since)) for name, since in
                   {"a": now - 100.0, "b": now - 5.0, "c": None}.items()}  # fmt: skip
        h.registry.alerts.hooks._workers, kept = workers, h.registry.alerts.hooks._workers
        h.registry.memory._embedders.fault.begins("The embedder is away.")
        try:
            text = (await h.client.get("/metrics")).text
        finally:
            h.registry.alerts.hooks._workers = kept
    lines = text.splitlines()
    assert "joyvl_memory_fault 1.0" in lines
    assert 'joyvl_hooks{state="failing"} 2.0' in lines
    assert 'joyvl_hooks{state="working"} 1.0' in lines
    (failing,) = [float(line.split()[1]) for line in lines if line.startswith("joyvl_hook_failing_seconds ")]
    assert failing >= 100


async def test_when_keys_and_the_certificate_end_is_told(tmp_path):
    def bearer(key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"}

    async with house(tmp_path, server={"api_keys": ["a-key"]}) as h:

        async def ends() -> tuple[float, float]:
            text = (await h.client.get("/metrics", headers=bearer("a-key"))).text
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            return (
                float(lines["joyvl_tls_certificate_expiry_timestamp_seconds"]),
                float(lines["joyvl_api_key_expiry_timestamp_seconds"]),
            )

        assert await ends() == (0, 0)
        now = h.clock.wall()
        for name, seconds in (("a", None), ("b", 40 * DAY_S), ("c", 20 * DAY_S), ("guest", 60.0)):
            until = None if seconds is None else payloads.rfc3339(now + seconds)
            body = {"name": name, "role": "viewer", "expires_at": until}
            assert (await h.client.post("/v1/keys", json=body, headers=bearer("a-key"))).status_code == 201
        h.api.certificate = SimpleNamespace(facts=SimpleNamespace(expires=1.9e9))
        assert await ends() == (1.9e9, now + 20 * DAY_S), "a guest's key for a minute is meant to end"
        h.clock._offset += 20 * DAY_S + 1
        assert (await ends())[1] == now + 40 * DAY_S


def test_each_rule_says_what_to_do_and_is_tested():
    tested = TESTS.read_text()
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 15
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "action"} <= rule["annotations"].keys()
        assert rule["alert"] in tested, f"no test fires {rule['alert']}"


def test_settings_and_commands_that_rules_name_exist():
    text = "\n".join(rule["annotations"]["action"] for rule in rules())
    settings = (ROOT / "docs/reference/settings.md").read_text()
    commands = (ROOT / "docs/reference/cli.md").read_text()
    for name in re.findall(r"\b(?:timeline|store|media)\.[a-z_]+", text):
        assert f"`{name}`" in settings, name
    for command in re.findall(r"joyvl (?:engine|memory|cameras) \w+", text):
        assert f"`{command}" in commands, command


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's package prometheus")
@pytest.mark.parametrize("arguments", [("check", "rules", RULES), ("test", "rules", TESTS)], ids=["check", "test"])
def test_promtool(arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_the_dashboard_can_be_drawn():
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) > 30
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} covers another panel"
        taken |= cells
        assert panel["title"]
        assert all(target["datasource"]["uid"] == "prometheus" for target in panel["targets"])


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's package prometheus")
def test_every_expression_of_the_dashboard_is_promql(tmp_path):
    """As recording rules, which promtool parses."""
    found = [target["expr"].replace("$instance", ".*") for panel in panels() for target in panel["targets"]]
    group = {"name": "panels", "rules": [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(found)]}
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [group]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(found)} rules found" in done.stdout
