"""How `vllm serve` is called: options and card as values in, flags as values out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from joyvl_server.core.errors import ConfigError, EngineUnavailable
from joyvl_server.engines.vllm.card import GpuMemory, kv_capacity, read_card
from joyvl_server.engines.vllm.flags import CONTEXT, Plan, flags, plan, quantized_as
from joyvl_server.engines.vllm.options import MODEL, VllmOptions, read_options

RTX_3090 = GpuMemory(24.0, "NVIDIA GeForce RTX 3090", 8.6, "580.95.05")
INT4 = {
    "quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4}}}}
}
FP8 = {"quantization_config": {"quant_method": "fp8"}}


def called(options: VllmOptions, card: GpuMemory | None = RTX_3090, port: int = 8000) -> dict[str, str]:
    """The flags with their values, the last one of a name; switches have none."""
    arguments = flags(options, plan(options, card), port)[1:]
    found: dict[str, str] = {}
    for here, after in zip(arguments, [*arguments[1:], "--"], strict=True):
        if here.startswith("--"):
            found[here] = "" if after.startswith("--") else after
    return found


def test_the_default_is_for_24_gb_and_as_vllm_is_best_for_a_prompt_that_grows() -> None:
    options = VllmOptions()
    assert flags(options, plan(options, RTX_3090), 8000)[0] == MODEL
    assert called(options) == {
        "--served-model-name": "JoyAI-VL-Interaction",
        "--host": "127.0.0.1",
        "--port": "8000",
        "--quantization": "fp8",
        "--max-model-len": "32768",
        "--gpu-memory-utilization": "0.92",
        "--max-num-seqs": "16",
        "--max-num-batched-tokens": "2048",
        "--long-prefill-token-threshold": "512",
        "--scheduling-policy": "priority",
        "--limit-mm-per-prompt": '{"image":442,"video":0}',
        "--mm-processor-kwargs": '{"size":{"shortest_edge":65536,"longest_edge":262144}}',
        "--mm-processor-cache-gb": "4",
        "--allowed-media-domains": "none.invalid",
        "--generation-config": "vllm",
        "--enable-prefix-caching": "",
        "--enable-prompt-tokens-details": "",
        "--no-enable-log-requests": "",
        "--disable-uvicorn-access-log": "",
        "--disable-fastapi-docs": "",
    }


def test_every_option_has_its_flag(tmp_path: Path) -> None:
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    options = VllmOptions(
        model="someone/JoyAI-awq", revision="v2", gpu_memory_utilization=0.8, context_tokens=20_000, sessions=8,
        max_pixels=524_288, mm_cache_gb=2.5, kv_cache_dtype="fp8", chat_template=template,
        extra_args=("--seed", "7", "--max-num-seqs", "5"),
    )  # fmt: skip
    found = called(options)
    assert found["--revision"] == "v2"
    assert found["--gpu-memory-utilization"] == "0.8"
    assert found["--max-model-len"] == "20000"
    assert json.loads(found["--mm-processor-kwargs"])["size"]["longest_edge"] == 524_288
    assert found["--mm-processor-cache-gb"] == "2.5"
    assert found["--kv-cache-dtype"] == "fp8"
    assert found["--chat-template"] == str(template)
    assert found["--seed"] == "7"
    assert found["--max-num-seqs"] == "5", "what the user says last wins"
    assert "--quantization" not in found, "the name says that the weights are quantised already"


@pytest.mark.parametrize(("sessions", "cache"), [(1, "1"), (4, "4"), (16, "15")])
def test_the_cache_of_pictures_grows_with_the_sessions(sessions: int, cache: str) -> None:
    assert called(VllmOptions(sessions=sessions))["--mm-processor-cache-gb"] == cache


def test_the_room_for_a_context_is_that_of_the_facts() -> None:
    """24 GiB: bf16 29–33k tokens, fp8 about 80k, int4 98–102k."""
    assert 29_000 <= kv_capacity(24, "bf16", 0.92) <= 33_000
    assert 79_000 <= kv_capacity(24, "fp8", 0.92) <= 82_000
    assert 98_000 <= kv_capacity(24, "int4", 0.92) <= 102_000


@pytest.mark.parametrize(
    ("gb", "config", "weights", "quantize", "context"),
    [
        (80, {}, "bf16", None, CONTEXT),
        (48, {}, "bf16", None, CONTEXT),
        (24, {}, "fp8", "fp8", CONTEXT),
        (24, INT4, "int4", None, CONTEXT),
        (24, FP8, "fp8", None, CONTEXT),
        (16, {}, "fp8", "fp8", 26_624),
        (16, INT4, "int4", None, CONTEXT),
        (12, INT4, "int4", None, 20_480),
        (None, {}, "fp8", "fp8", CONTEXT),
    ],
)
def test_weights_and_context_fit_the_card(gb, config, weights, quantize, context) -> None:
    made = plan(VllmOptions(), GpuMemory(gb) if gb else None, config)
    assert (made.weights, made.quantize, made.context_tokens) == (weights, quantize, context)
    assert made.kv_tokens is not None
    assert made.kv_tokens >= made.context_tokens


@pytest.mark.parametrize(
    ("gb", "options", "advice"),
    [
        (12, {}, "4-bit weights"),
        (8, {"quantization": "int4"}, "larger card"),
        (16, {"quantization": "none"}, "quantization: fp8"),
    ],
)
def test_a_card_that_is_too_small_is_said_to_be(gb, options, advice) -> None:
    with pytest.raises(EngineUnavailable, match=f"{gb}.0 GiB are too small .*{advice}"):
        plan(VllmOptions(**options), GpuMemory(gb))


def test_what_the_user_says_of_the_card_wins() -> None:
    assert plan(VllmOptions(card_gb=80), GpuMemory(24)).weights == "bf16"
    assert plan(VllmOptions(card_gb=12, context_tokens=8192), None).context_tokens == 8192


def test_weights_that_are_quantised_are_not_quantised_again() -> None:
    with pytest.raises(EngineUnavailable, match="quantised weights already"):
        plan(VllmOptions(quantization="fp8"), RTX_3090, INT4)
    made = plan(VllmOptions(quantization="int4"), RTX_3090)
    assert (made.weights, made.quantize) == ("int4", None)


def test_an_eight_bit_cache_holds_twice_as_much() -> None:
    assert plan(VllmOptions(kv_cache_dtype="fp8"), RTX_3090).kv_tokens == 2 * kv_capacity(24, "fp8", 0.92)


def test_the_cpu_build_is_asked_for_no_share_of_a_card() -> None:
    options = VllmOptions(device="cpu", model="someone/tiny")
    found = called(options, None)
    assert found["--block-size"] == "32"
    assert not {"--quantization", "--gpu-memory-utilization"} & set(found)
    assert plan(options, None) == Plan("bf16", None, CONTEXT, None, 16, 442, 4.0)


@pytest.mark.parametrize(
    ("model", "config", "weights"),
    [
        (MODEL, {}, None),
        ("a/JoyAI-VL-AWQ", {}, "int4"),
        ("a/JoyAI-VL-GPTQ-Int4", {}, "int4"),
        ("a/JoyAI.w4a16", {}, "int4"),
        ("a/JoyAI-VL-FP8", {}, "fp8"),
        ("a/hawqeye", {}, None),
        ("a/JoyAI-VL-AWQ", {"model_type": "qwen3_vl"}, None),
        ("a/b", {"quantization_config": {"quant_method": "awq", "bits": 4}}, "int4"),
        ("a/b", {"quantization_config": {"quant_method": "awq", "w_bit": 4}}, "int4"),
        ("a/b", INT4, "int4"),
        ("a/b", FP8, "fp8"),
    ],
)
def test_how_weights_are_told(model, config, weights) -> None:
    assert quantized_as(model, config) == weights


@pytest.mark.parametrize(
    ("listing", "card"),
    [
        ("NVIDIA GeForce RTX 3090, 24576, 8.6, 580.95.05\nNVIDIA T4, 16384, 7.5, 580.95.05\n", RTX_3090),
        ("", None),
        ("No devices were found\n", None),
        ("NVIDIA X, [N/A], 8.6, 580\n", None),
    ],
)
def test_what_the_driver_lists_is_read(listing, card) -> None:
    assert read_card(listing) == card


def test_options_are_split_between_the_process_and_its_requests() -> None:
    ours, passed = read_options({"model": "a/b", "sessions": 2, "timeout_s": 9, "extra_body": {"top_k": 4}})
    assert (ours.model, ours.sessions) == ("a/b", 2)
    assert passed == {"timeout_s": 9, "extra_body": {"top_k": 4}}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"sesions": 2}, "sesions: there is no such option. Did you mean sessions?"),
        ({"xyzzy": 2}, "xyzzy: there is no such option. There are: model,"),
        ({"base_url": "http://x"}, "base_url: the engine sets this itself"),
        ({"api_key": "s3cret"}, "api_key: the engine sets this itself"),
        ({"model": "/nowhere/x"}, "model: there is no model in /nowhere/x: it has no config.json"),
        ({"chat_template": "/nowhere/x"}, "chat_template: there is no file /nowhere/x"),
        ({"extra_args": ["--port=1"]}, "extra_args: must not hold --port"),
        ({"quantization": "int3"}, "quantization: Input should be"),
        ({"card_gb": -1}, "card_gb: Input should be"),
    ],
)
def test_wrong_options_are_told_in_words(given, sentence) -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(given)
    assert f"engine.options.vllm.{sentence}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_model_in_a_folder_is_found_wherever_vllm_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    options = VllmOptions(model="./m")
    assert options.model == str(tmp_path / "m")
    assert options.served_name == "m"


def test_the_environment_is_that_of_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOYVL_DATA_DIR", str(tmp_path))
    assert VllmOptions().found_python == tmp_path / "environments" / "vllm" / "bin" / "python"
    assert VllmOptions(environments_dir="/e").found_python == Path("/e/vllm/bin/python")
    assert VllmOptions(python="/usr/bin/python3").found_python == Path("/usr/bin/python3")


def page() -> str:
    return (Path(__file__).parents[3] / "docs" / "engines.md").read_text("utf-8")


def test_the_page_has_every_option() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page().partition("| option | default | meaning |")[2], re.MULTILINE)
    assert sorted(rows) == sorted(VllmOptions.model_fields)


def test_the_page_calculates_as_we_do() -> None:
    rows = re.findall(r"^\| (\d+) \| (bf16|fp8|int4) \| ([\d,]+) \| (\d+) \|", page(), re.MULTILINE)
    assert {int(gb) for gb, *_ in rows} == {8, 12, 16, 24, 48, 80}
    for gb, weights, room, chunks in rows:
        assert int(room.replace(",", "")) == kv_capacity(float(gb), weights, 0.92)
        assert int(chunks) == kv_capacity(float(gb), weights, 0.92) // 24_000


def test_the_page_names_the_flags() -> None:
    named = set(re.findall(r"`(--[\w-]+)", page()))
    used = set(called(VllmOptions())) - {"--host", "--port", "--served-model-name", "--quantization", "--max-model-len"}
    assert used - named <= {
        "--gpu-memory-utilization",
        "--no-enable-log-requests",
        "--disable-uvicorn-access-log",
        "--disable-fastapi-docs",
    }
