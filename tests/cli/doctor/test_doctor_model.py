"""What the doctor says of a model's folder, of its markers and of its chat template."""

from __future__ import annotations

import json

import pytest

from e2e.tiny_model import TEMPLATE
from fakes.engines.model_folder import INDEX, SHARDS, make_model_folder, weights_file

pytestmark = pytest.mark.processes

CHECKS = ("model", "markers", "template")
THINKS = TEMPLATE.replace("{%- macro", "{%- set last = messages|length - 1 -%}\n{%- macro", 1).replace(
    "{%- if m.content is string -%}{{ m.content }}",
    "{%- if m.role == 'user' and loop.index0 == last -%}[now] {%- endif -%}"
    "{%- if m.content is string -%}{{ m.content }}",
)
"""marks the newest turn, so an earlier one changes when a new one comes"""
STRIPS = TEMPLATE.replace("{{ m.content }}", "{{ m.content.split('</')[0] }}")


@pytest.fixture
def folder(tmp_path):
    return make_model_folder(tmp_path / "model")


def only(findings):
    assert len(findings) == 1, findings
    return findings[0]


def test_a_whole_folder_is_right(doctor, folder):
    model, markers, template = doctor(*CHECKS, "--model", folder)
    assert {one["status"] for one in (model, markers, template)} == {"ok"}
    assert "2 files of weights are whole" in model["message"]
    assert "one token each" in markers["message"]
    assert "only appends: 5 prompts" in template["message"]


def test_the_settings_name_the_folder_too(doctor, folder):
    settings = {"engine": {"name": "vllm", "options": {"vllm": {"model": str(folder)}}}}
    assert {one["status"] for one in doctor(*CHECKS, settings=settings)} == {"ok"}


def break_off(folder):
    whole = (folder / SHARDS[1]).read_bytes()
    (folder / SHARDS[1]).write_bytes(whole[:-10])


def cut_header(folder):
    (folder / SHARDS[0]).write_bytes((folder / SHARDS[0]).read_bytes()[:20])


def point_to_lfs(folder):
    (folder / SHARDS[0]).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5000\n")


def mix_versions(folder):
    (folder / SHARDS[1]).write_bytes(weights_file({"another": 64}))


def only_gguf(folder):
    for name in (*SHARDS, INDEX):
        (folder / name).unlink()
    (folder / "model-Q4_K_M.gguf").write_bytes(b"GGUF")


@pytest.mark.parametrize(
    ("harm", "said", "advice"),
    [
        (break_off, f"{SHARDS[1]} is cut off: ", "Delete this file. Fetch it again"),
        (cut_header, f"{SHARDS[0]} is cut off within its header", "Delete this file"),
        (point_to_lfs, "is a pointer of Git LFS", "Fetch it again"),
        (mix_versions, "the files are of two versions", "Fetch it again"),
        (only_gguf, "only model-Q4_K_M.gguf", "GGUF files need llama.cpp or Ollama"),
        (
            lambda f: (f / SHARDS[1]).unlink(),
            f"1 of 2 files of weights are missing: {SHARDS[1]}",
            "what is whole stays",
        ),
        (lambda f: (f / "config.json").unlink(), "has no config.json", "Fetch it again"),
        (lambda f: (f / "config.json").write_text("{"), "config.json that cannot be read", "Fetch it again"),
        (lambda f: (f / INDEX).write_text("[]"), f"{INDEX} cannot be read", "Fetch it again"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "has no preprocessor_config.json", "Fetch it again"),
        (lambda f: (f / SHARDS[0]).write_bytes(b"\xff" * 100), "is no safetensors file", "Delete this file"),
    ],
)
def test_what_is_broken_is_named(doctor, folder, harm, said, advice):
    harm(folder)
    found = [one for one in doctor("model", "--model", folder) if one["status"] == "problem"]
    assert said in only(found)["message"]
    assert advice in found[0]["advice"]


def test_an_empty_folder_and_none_at_all(doctor, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is empty" in only(doctor("model", "--model", tmp_path / "empty"))["message"]
    assert "There is no folder" in only(doctor("model", "--model", tmp_path / "nowhere"))["message"]


def test_another_model_is_no_interaction_model(doctor, folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl"})
    )
    assert "not the interaction model" in only(doctor("model", "--model", folder))["message"]
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    assert "reads no pictures" in only(doctor("model", "--model", folder))["message"]


def test_a_model_without_markers_is_found_out(doctor, tmp_path):
    folder = make_model_folder(tmp_path / "plain", markers=False)
    found = only(doctor("markers", "--model", folder))
    assert found["status"] == "problem"
    assert "does not know the markers" in found["message"]
    assert "JoyAI-VL-Interaction" in found["advice"]


def test_a_broken_tokenizer(doctor, folder):
    (folder / "tokenizer.json").write_text('{"version": "1.0", ')
    assert "tokenizer.json cannot be read" in only(doctor("markers", "--model", folder))["message"]


@pytest.mark.parametrize(
    ("template", "status", "said"),
    [
        (THINKS, "warning", "changes earlier turns when a new one comes (seen at turn 2)"),
        (STRIPS, "problem", "leaves the model's own markers out"),
        ("{% for m in messages %}", "problem", "it cannot be rendered"),
        ("{{ messages[0].__class__.__mro__ }}", "problem", "cannot be rendered"),
        ("{{ raise_exception('no system prompt') }}", "problem", "no system prompt"),
    ],
)
def test_a_template_that_does_not_append(doctor, tmp_path, template, status, said):
    found = only(doctor("template", "--model", make_model_folder(tmp_path / "model", template=template)))
    assert found["status"] == status
    assert said in found["message"]
    assert "chat_template" in found["advice"]


def test_without_a_template_it_says_so(doctor, folder):
    (folder / "tokenizer_config.json").write_text("{}")
    assert "has no chat template" in only(doctor("template", "--model", folder))["message"]


def test_where_there_is_no_model_it_says_what_will_be_fetched(doctor):
    assert {one["status"] for one in doctor(*CHECKS)} == {"skipped"}
    model, *others = doctor(*CHECKS, settings={"engine": {"name": "vllm"}})
    assert model["status"] in ("warning", "problem")  # by the disk of this machine
    assert "jdopensource/JoyAI-VL-Interaction is not on this machine yet" in model["message"]
    assert {one["status"] for one in others} == {"skipped"}


def test_the_cache_of_the_hub_is_looked_into(doctor, tmp_path):
    cache = tmp_path / "hub" / "hub" / "models--jdopensource--JoyAI-VL-Interaction"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("abc")
    make_model_folder(cache / "snapshots" / "abc")
    assert {one["status"] for one in doctor(*CHECKS, settings={"engine": {"name": "vllm"}})} == {"ok"}
