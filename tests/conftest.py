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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Where skips are not allowed, one is a failure that says why it would have been skipped."""
    report = yield
    if report.skipped and os.environ.get("JOYVL_NO_SKIPS") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed here: {call.excinfo.value if call.excinfo else ''}"
    return report
