"""What the doctor says of cards: none, broken drivers, and what fits into 12, 24 and 80 GB."""

from __future__ import annotations

import pytest

from fakes.nvidia_smi import put_nvidia_smi

pytestmark = pytest.mark.processes
VLLM = {"engine": {"name": "vllm"}}


@pytest.fixture
def no_card(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_no_card_is_a_problem_only_where_one_is_needed(doctor, no_card):
    [found] = doctor("card")
    assert found["status"] == "skipped"
    assert "engine motion does not need one" in found["message"]
    [found] = doctor("card", settings=VLLM)
    assert found["status"] == "problem"
    assert "Engine vllm needs an NVIDIA card" in found["message"]
    assert "engine openai" in found["advice"]


@pytest.mark.parametrize(
    ("gb", "status", "said", "rows"),
    [
        (12, "problem", "too small for these weights (fp8)", ("bf16 (as published), 16.8 GiB: does not fit.",
            "fp8 (made while loading), 9.9 GiB: fits, but leaves room for only 291 tokens, too few to watch.",
            "4-bit weights, 7.1 GiB: fits, with room for 20,680 tokens: one session with a shorter context.")),
        (24, "ok", "engine vllm runs fp8 with a context of 32,768 tokens; 3 sessions keep their whole context", (
            "bf16 (as published), 16.8 GiB: fits, with room for 30,437 tokens: 1 session of 24,000 tokens.",
            "fp8 (made while loading), 9.9 GiB: fits, with room for 80,682 tokens: 3 sessions of 24,000 tokens.",
            "4-bit weights, 7.1 GiB: fits, with room for 101,071 tokens: 4 sessions of 24,000 tokens.")),
        (80, "ok", "engine vllm runs bf16 with a context of 32,768 tokens; 16 sessions keep their whole context", (
            "bf16 (as published), 16.8 GiB: fits, with room for 403,233 tokens: 16 sessions of 24,000 tokens.",)),
    ],
)  # fmt: skip
def test_what_fits_is_said_in_words(doctor, tmp_path, monkeypatch, gb, status, said, rows):
    put_nvidia_smi(tmp_path / "bin", monkeypatch, gb)
    driver, fits, *_ = doctor("card", settings=VLLM)
    assert driver["status"] == "ok"
    assert "driver 580.95.05" in driver["message"]
    assert fits["status"] == status
    assert "calculated for the 8B model, not measured" in fits["message"]
    assert said in fits["message"]
    assert fits["more"][: len(rows)] == list(rows)


def test_four_bits_fit_into_twelve(doctor, tmp_path, monkeypatch):
    put_nvidia_smi(tmp_path / "bin", monkeypatch, 12)
    options = {"vllm": {"quantization": "int4"}}
    _, fits, shorter = doctor("card", settings={"engine": {"name": "vllm", "options": options}})
    assert fits["status"] == "ok"
    assert "runs int4 with a context of 20,480 tokens" in fits["message"]
    assert shorter["status"] == "warning"
    assert "Set sessions.context_tokens to 16000" in shorter["advice"]


@pytest.mark.parametrize(
    ("facts", "status", "said", "advice"),
    [
        ({"driver_version": "550.54.14"}, "problem", "too old for CUDA 13", "Install driver 580"),
        ({"compute_cap": "6.1"}, "problem", "vLLM needs 7.5", "another card"),
        ({"compute_cap": "7.5"}, "warning", "no bf16", "joyvl engine check"),
        ({"memory__used": "20000"}, "warning", "Programs use 19.5 GiB", "gpu_memory_utilization"),
        ({"said": "Failed to initialize NVML: Driver/library version mismatch", "status": 18}, "problem",
            "do not fit together", "Restart the machine"),
        ({"said": "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "status": 9},
            "problem", "The driver does not work", "install the driver again"),
        ({"said": "No devices were found"}, "problem", "names no card", "visible in this container"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_driver_or_a_card(doctor, tmp_path, monkeypatch, facts, status, said, advice):
    put_nvidia_smi(tmp_path / "bin", monkeypatch, 24, **facts)
    found = [one for one in doctor("card", settings=VLLM) if one["status"] != "ok"]
    assert [one["status"] for one in found] == [status]
    assert said in found[0]["message"]
    assert advice in found[0]["advice"]
