"""`joyvl models quantize`: the whole command, with a stand-in for llm-compressor in a real environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fakes.server.wheel import make_wheel
from joyvl_server.cli.main import app

pytestmark = pytest.mark.processes

COMPRESSOR = {
    "torch.py": "class cuda:\n    is_available = staticmethod(lambda: False)\n",
    "compressed_tensors/__init__.py": "",
    "compressed_tensors/quantization.py": "QuantizationArgs = QuantizationScheme = dict\n",
    "llmcompressor.py": """
import json, os, pathlib, shutil
def model_free_ptq(model, folder, scheme, ignore, device):
    if os.environ.get("FAIL"):
        raise SystemExit(int(os.environ["FAIL"]))
    shutil.copytree(model, folder)
    config = {"quantization_config": {"scheme": scheme, "ignore": ignore, "device": device}}
    (pathlib.Path(folder) / "config.json").write_text(json.dumps({} if os.environ.get("BAD") else config))
""",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    (folder / "chat_template.jinja").write_text("the model's own")
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheels"), "standin", files=COMPRESSOR)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the environment is made once."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("JOYVL_CONFIG", raising=False)


def quantize(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["models", "quantize", *(str(a) for a in arguments)])


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (
            "w4a16",
            {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 64},
            },
        ),
        ("fp8", "FP8_DYNAMIC"),
    ],
)
def test_weights_are_made_and_the_rest_is_kept(
    tmp_path: Path, model: Path, wheel: Path, data_dir: Path, scheme: str, expected: object
) -> None:
    out = tmp_path / "deep" / "out"
    made = quantize(
        model, out, "--scheme", scheme, "--group-size", 64, "--requirement", wheel, "--data-dir", data_dir,
        "--python", sys.executable,
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert made.output.endswith(f"{out} is ready: set engine.options.vllm.model to it.\n")
    found = json.loads((out / "config.json").read_text())["quantization_config"]
    assert found["scheme"] == expected
    assert found["device"] == "cpu"
    assert "re:.*visual.*" in found["ignore"], "the vision tower stays as it is"
    assert (out / "chat_template.jinja").read_text() == "the model's own"
    assert sorted(path.name for path in out.parent.iterdir()) == ["out"]


@pytest.mark.parametrize(("variable", "value", "sentence"), [("FAIL", "3", "status 3"), ("BAD", "1", "status 1")])
def test_what_failed_never_gets_the_name(
    tmp_path: Path, model: Path, wheel: Path, data_dir: Path, monkeypatch, variable, value, sentence
) -> None:
    monkeypatch.setenv(variable, value)
    out = tmp_path / "out"
    failed = quantize(model, out, "--requirement", wheel, "--data-dir", data_dir, "--python", sys.executable)
    assert failed.exit_code == 1
    assert f"The weights could not be made ({sentence})" in failed.output
    assert not out.exists()


def test_a_dry_run_does_nothing(tmp_path: Path, model: Path) -> None:
    found = quantize(model, tmp_path / "out", "--dry-run", "--data-dir", tmp_path / "data", "--python", sys.executable)
    assert found.exit_code == 0, found.output
    assert "'llmcompressor>=0.14,<0.15'" in found.output
    assert "quantize.py" in found.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("{model}", "{out}", "--scheme", "int3"), "--scheme is w4a16 or fp8, not int3."),
        (("{model}", "{out}", "--group-size", "7"), "--group-size is 32, 64 or 128, not 7."),
        (("{model}", "{model}"), "already exists"),
        (("/nowhere/model", "{out}"), "There is no folder /nowhere/model"),
        (("just-a-word", "{out}"), "a name on the Hub is like owner/name"),
        (("{empty}", "{out}"), "holds no model"),
    ],
)
def test_wrong_calls_are_told_in_words(tmp_path: Path, model: Path, arguments, sentence) -> None:
    (tmp_path / "empty").mkdir()
    places = {"model": model, "out": tmp_path / "out", "empty": tmp_path / "empty"}
    wrong = quantize(*(argument.format(**places) for argument in arguments), "--data-dir", tmp_path / "data")
    assert wrong.exit_code == 2
    assert sentence in wrong.output
    assert not (tmp_path / "data").exists()


def test_a_disk_too_small_is_said_before_anything_is_done(tmp_path: Path, model: Path) -> None:
    with (model / "model.safetensors").open("wb") as file:
        file.truncate(2**42)  # takes no room
    full = quantize(model, tmp_path / "out", "--data-dir", tmp_path / "data")
    assert full.exit_code == 2
    assert "GB are needed" in full.output
