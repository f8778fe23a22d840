"""What scripts/cache promises to all clones on a machine: made once, whole or not there, bounded."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from fakes.patience import PATIENCE_S

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
HEAD = f"""
set -uo pipefail
root={ROOT}
. {ROOT}/scripts/environment
. {ROOT}/scripts/cache
"""


def bash(cache: Path, script: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "JOYVL_CACHE": str(cache)}
    return subprocess.Popen(
        ["bash", "-c", HEAD + script], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def output(cache: Path, script: str) -> str:
    return bash(cache, script).communicate(timeout=PATIENCE_S)[0]


def test_two_at_once_make_it_once_and_both_get_it_whole(tmp_path: Path):
    script = (
        'build() { echo made >>"$root_log"; sleep 0.5; echo whole >"$1/it"; }; cached thing-1 build; cat "$cached/it"'
    )
    log = tmp_path / "log"
    both = [bash(tmp_path / "cache", f"root_log={log}; {script}") for _ in range(2)]
    assert [one.communicate(timeout=PATIENCE_S)[0] for one in both] == ["whole\n", "whole\n"]
    assert log.read_text() == "made\n"


def test_what_was_cut_off_is_made_from_nothing(tmp_path: Path):
    assert output(tmp_path, 'build() { touch "$1/half"; return 3; }; cached thing-1 build; echo $?') == "1\n"
    assert output(tmp_path, "is_cached thing-1 || echo no") == "no\n"
    again = 'build() { ls "$1"; touch "$1/it"; }; cached thing-1 build; ls "$cached"; is_cached thing-1 && echo yes'
    assert output(tmp_path, again) == "it\nyes\n"


def test_what_nobody_used_for_long_is_removed(tmp_path: Path):
    output(tmp_path, "build() { :; }; cached old-1 build; cached used-1 build; cached half-1 false; mkdir -p $cached")
    long_ago = time.time() - 40 * 86400
    for path in (tmp_path / "old-1/.complete", tmp_path / "used-1/.complete", tmp_path / "half-1"):
        os.utime(path, (long_ago, long_ago))
    told = output(tmp_path, "cached used-1 false; remove_old_caches")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["used-1"]
    assert f"removing {tmp_path}/old-1" in told


@pytest.mark.parametrize(
    "name",
    [
        "cache",
        "environment",
        "run",
        "test",
        "vllm-cpu-env",
        "speech-test-env",
        "agents-test-env",
        "chat-test-env",
        "memory-test-env",
        "image-test-env",
    ],
)  # fmt: skip
def test_scripts_are_read_by_bash(name: str):
    subprocess.run(["bash", "-n", ROOT / "scripts" / name], check=True)
