"""What all tests share: where the footage is, and that nothing is skipped where that is not allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder with the labelled footage: $JOYVL_CLIPS, else ../shared/clips beside the checkout."""
    folder = Path(os.environ.get("JOYVL_CLIPS") or ROOT.parent / "shared" / "clips")
    if not (folder / "labels.json").is_file():
        pytest.skip(f"the labelled footage is not at {folder}; name its folder in JOYVL_CLIPS")
    return folder


LONGER_S = {"aside": 3000, "slow": 900}
"""Seconds a marked test may take on a machine that is busy with other things; others have `timeout` of pyproject."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        longest = max((seconds for mark, seconds in LONGER_S.items() if item.get_closest_marker(mark)), default=None)
        if longest is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(longest))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Where skips are not allowed, one is a failure that says why it would have been skipped."""
    report = yield
    if report.skipped and os.environ.get("JOYVL_NO_SKIPS") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed here: {call.excinfo.value if call.excinfo else ''}"
    return report
