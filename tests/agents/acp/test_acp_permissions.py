"""What people see of a permission: all that will be done, and nothing that is the agent's own bookkeeping."""

from __future__ import annotations

import pytest

from joyvl_server.agents.acp.permissions import permission_of
from joyvl_server.agents.acp.presets import PRESETS
from joyvl_server.agents.acp.updates import SessionUpdates

OPTIONS = [
    {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    {"optionId": "no", "name": "No", "kind": "reject_once"},
]


def detail(call, preset="custom"):
    request = permission_of(call, OPTIONS, PRESETS[preset].unshown)
    assert request is not None
    return request.detail


def test_a_command_of_codex_is_told_plainly():
    told = "Retry without the sandbox.\nProposed Amendment: /bin/bash\n-lc\nls\nAvailable Decisions: Approved\nAbort"
    call = {
        "title": "ls",
        "rawInput": {
            "call_id": "call_3", "turn_id": "01a2", "started_at_ms": 1, "command": ["/bin/bash", "-lc", "ls -l"],
            "cwd": "/work/tsk_1", "proposed_execpolicy_amendment": ["/bin/bash"], "available_decisions": ["abort"],
            "parsed_cmd": [{"type": "unknown", "cmd": "ls"}],
        },
        "content": [{"type": "content", "content": {"type": "text", "text": told}}],
    }  # fmt: skip
    assert detail(call, "codex") == "/bin/bash -lc 'ls -l'\ncwd: /work/tsk_1\nRetry without the sandbox."
    assert "call_id" in detail(call), "of an agent that nobody has described all is shown"


def test_what_is_unshown_hides_no_command():
    call = {"rawInput": {"command": "true\nAvailable Decisions: x\nrm -r /"}}
    assert "rm -r /" in detail(call, "codex")
    call = {"rawInput": {"command": "ls", "env": {"LD_PRELOAD": "x.so"}, "timeout": 5, "why": "a\ncwd: /tmp"}}
    assert detail(call).splitlines() == [
        "ls",
        "env: {",
        ' "LD_PRELOAD": "x.so"',
        "}",
        "timeout: 5",
        r'why: "a\ncwd: /tmp"',
    ]


@pytest.mark.parametrize("text", ["Model metadata for `x` not found.", "Heads up: long threads"])
def test_a_warning_of_codex_is_neither_answer_nor_progress(text):
    updates = SessionUpdates(PRESETS["codex"].warnings)
    chunk = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    assert updates.take(chunk) is None
    assert updates.answer == ""
