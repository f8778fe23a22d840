"""A real server is killed while watches fire, before real receivers with faults."""

from __future__ import annotations

import pytest
from bench.alerts.bench import bench_alerts

pytestmark = pytest.mark.processes


def test_no_alert_is_lost_and_next_contacts_are_told_rightly():
    result = bench_alerts(quick=True, seed=7)
    (row,) = result["rows"]
    assert row["kills"] == 4
    assert row["events"] > 4
    assert row["received"] >= row["events"]
    for wrong in (
        "lost",
        "out_of_order",
        "without_alert",
        "bad_signatures",
        "next_contact_missing",
        "next_contact_after_acknowledgement",
    ):
        assert row[wrong] == 0, row
