import json
import threading

import pytest
import yaml
from typer.testing import CliRunner

from fakes.patience import PATIENCE_S
from joyvl_server.cli import config as config_module
from joyvl_server.cli.config import app
from joyvl_server.cli.main import app as main
from joyvl_server.cli.part_names import CheckedSource
from joyvl_server.cli.upkeep import settings_checks
from joyvl_server.core.errors import ConfigError
from joyvl_server.settings import Settings, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("JOYVL_CONFIG",):
        monkeypatch.delenv(name, raising=False)


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_show_prints_what_can_be_loaded_again(tmp_path, monkeypatch):
    file = tmp_path / "mine.yaml"
    file.write_text("server: {port: 8111}\nnet: {deny: [10.0.0.0/8]}\n")
    monkeypatch.setenv("JOYVL_SESSIONS__TICK_S", "0.5")
    result = run("show", "--config", file)
    assert result.exit_code == 0
    again = tmp_path / "again.yaml"
    again.write_text(result.stdout)
    assert load(again, environ={}) == load(file)
    assert yaml.safe_load(result.stdout)["sessions"]["tick_s"] == 0.5


def test_show_masks_every_secret(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "server: {api_keys: [geheim, geheim2]}\n"
        "engine: {options: {openai: {api_key: geheim, base_url: 'http://u:geheim@h/v1?token=geheim', password: 123,\n"
        "  headers: {authorization: geheim}, list: ['rtsp://a:geheim@h'], context_tokens: 5}}}\n"
    )
    result = run("show", "-c", file)
    assert result.exit_code == 0
    assert "geheim" not in result.stdout
    shown = yaml.safe_load(result.stdout)
    assert shown["server"]["api_keys"] == ["***", "***"]
    assert shown["engine"]["options"]["openai"] == {
        "api_key": "***",
        "base_url": "http://u:***@h/v1?token=***",
        "password": "***",
        "headers": {"authorization": "***"},
        "list": ["rtsp://a:***@h"],
        "context_tokens": 5,
    }
    assert shown["sessions"]["context_tokens"] == 24000


def test_show_defaults():
    result = run("show", "--defaults")
    assert result.exit_code == 0
    assert result.stdout == config_module.annotated_yaml()


@pytest.mark.parametrize("command", ["show", "check"])
def test_a_wrong_file_is_a_sentence_and_exit_2(tmp_path, command):
    file = tmp_path / "mine.yaml"
    file.write_text("server:\n  prot: 1\n")
    result = run(command, *(["--config"] if command == "show" else []), file)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"{file}, line 2: there is no setting 'server.prot'. Did you mean 'server.port'?\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {host: 0.0.0.0, auth: 'off'}", "beyond loopback the server asks for keys"),
        ("engine: {name: motoin}", "engine.name: there is no engine 'motoin'. There are: motion, openai"),
        ("sessions: {summary_engine: opnai}", "sessions.summary_engine: there is no engine 'opnai'"),
        ("engine: {options: {opnai: {}}}", "engine.options: there is no engine 'opnai'"),
        ("memory: {embedder: e55}", "memory.embedder: there is no embedder 'e55'. There are: auto, "),
        ("memory: {options: {e55: {}}}", "memory.options: there is no embedder 'e55'. There are: "),
        ("memory: {options: {e5: {thread: 2}}}", "memory.options.e5"),
        ("memory: {options: {lexical: {size: 2}}}", "memory.options.lexical"),
        ("memory: {embedder: openai}", "memory.options.openai.model: Field required."),
        ("memory: {options: {openai: {model: m, api_key_file: /nowhere/key}}}", "/nowhere/key"),
        ("server: {tls: files, tls_cert: /nowhere/a.pem}", "/nowhere/a.pem cannot be read: No such file"),
        (
            "secret_key_file: /nowhere/secret.key",
            "secret_key_file: /nowhere/secret.key is not there, nor is its folder",
        ),
    ],
)
def test_check_refuses_what_the_server_would_refuse(tmp_path, text, said):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    result = run("check", file)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_check_of_a_right_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "server: {host: 0.0.0.0, api_keys: [geheim]}\nengine: {options: {openai: {base_url: 'http://h'}}}\n"
        "memory: {embedder: e5, options: {e5: {threads: 2}, openai: {model: m}}}"
    )
    result = run("check", file)
    assert (result.exit_code, result.stdout) == (0, f"{file} is correct.\n")


def test_check_tells_of_a_key_file_that_the_server_would_make(tmp_path):
    file, key = tmp_path / "mine.yaml", tmp_path / "secret.key"
    file.write_text(f"secret_key_file: {key}")
    result = run("check", file)
    assert (result.exit_code, result.stdout) == (0, f"{file} is correct.\n")
    assert f"Warning: secret_key_file: {key} is not there." in result.stderr
    key.write_text("x")
    assert run("check", file).stderr == ""


def test_an_engine_that_takes_long_to_import_is_not_waited_for(monkeypatch):
    go = threading.Event()
    monkeypatch.setattr(settings_checks, "check_engines", lambda settings: go.wait(PATIENCE_S))
    settings_checks.check_engines_in_time(Settings(), limit_s=0.1)
    assert not go.is_set()
    go.set()


def test_schema_is_the_settings_as_json():
    result = run("schema")
    assert result.exit_code == 0
    schema = json.loads(result.stdout)
    assert set(schema["properties"]) == set(Settings.model_fields)
    assert schema["$defs"]["ServerSettings"]["properties"]["port"]["maximum"] == 65535
    assert schema["additionalProperties"] is False


def test_reference_prints_the_page():
    assert run("reference").stdout == config_module.reference_markdown()


def test_help_names_the_commands():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("show", "check", "schema"):
        assert command in result.stdout


@pytest.mark.parametrize(
    ("agents", "said"),
    [
        ("entries: {a: {type: apc}}", "agents.entries.a.type: there is no type 'apc'. There are: acp, client, openai"),
        ("entries: {a: {type: acp, options: {preset: codecs}}}", "agents.entries.a.options.preset"),
        ("entries: {a: {type: acp}}", "`command` is needed, or a preset"),
        ("entries: {a: {type: acp, options: {preset: codex, limit: {}}}}", "limit"),
        ("entries: {a: {type: acp, options: {preset: codex, limits: {disk_mb: 0}}}}", "disk_mb"),
        ("entries: {a: {type: openai, options: {}}}", "agents.entries.a.options"),
        ("entries: {a: {type: openai, options: {base_url: 'ftp://x'}}}", "base_url"),
        ("entries: {a: {type: client, options: {silence_s: 0}}}", "silence_s"),
        ("{default: b, entries: {a: {type: client}}}", "agents.entries has no b"),
        ("default: b", "agents.entries has no b"),
    ],
)
def test_check_refuses_agents_that_could_not_work(tmp_path, agents, said):
    file = tmp_path / "mine.yaml"
    file.write_text(f"agents: {agents if agents.startswith('{') else '{' + agents + '}'}\n")
    result = run("check", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_check_warns_of_agents_that_are_not_there_or_do_not_ask(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    file = tmp_path / "mine.yaml"
    file.write_text(
        "agents: {entries: {\n"
        "  gone: {type: acp, options: {preset: codex}},\n"
        "  free: {type: acp, options: {command: [sh], unasked: true, sandbox: none}},\n"
        "  good: {type: acp, options: {command: [sh]}},\n"
        "  chat: {type: openai, options: {base_url: 'http://127.0.0.1:9/v1'}}}}\n"
    )
    result = run("check", file)
    assert (result.exit_code, result.stdout) == (0, f"{file} is correct.\n")
    warnings = result.stderr.splitlines()
    assert len(warnings) == 3
    assert "Warning: agents.entries.gone: The program codex-acp is not there. Install it: npm install" in warnings[0]
    assert "joyvl agents check gone" in warnings[0]
    assert warnings[1].startswith("Warning: agents.entries.free: with `unasked: true` it may run commands")
    assert warnings[2].startswith("Warning: agents.entries.free: its sandbox is off.")


MISNAMED = """\
engine: {name: moton, options: {opnai: {}}}
sessions: {summary_engine: nothing-like-it}
speech: {tts: pipr, voices: {en: 'kokor:a'}, options: {espek: {}}, asr: wisper, asr_options: {opnai: {}}}
memory: {embedder: lexcal, options: {e55: {}}}
agents: {entries: {a: {type: apc}}}
"""


def test_names_of_parts_are_told_all_at_once_with_the_nearest(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(MISNAMED)
    result = run("check", file)
    assert (result.exit_code, result.stdout) == (2, "")
    engines = "There are: motion, openai, remote, vllm."
    lines = result.stderr.splitlines()
    assert lines[0] == f"engine.name: there is no engine 'moton'. {engines} Did you mean motion?"
    assert lines[1] == f"sessions.summary_engine: there is no engine 'nothing-like-it'. {engines}"
    hints = [
        ("engine.options: there is no engine 'opnai'", "openai"),
        ("speech.tts: there is no voice engine 'pipr'. There are: off, ", "piper"),
        ("speech.voices.en: there is no voice engine 'kokor'", "kokoro"),
        ("speech.options: there is no voice engine 'espek'", "espeak"),
        ("speech.asr: there is no listening engine 'wisper'", "whisper"),
        ("speech.asr_options: there is no listening engine 'opnai'", "openai"),
        ("memory.embedder: there is no embedder 'lexcal'. There are: auto, ", "lexical"),
        ("memory.options: there is no embedder 'e55'", "e5"),
        ("agents.entries.a.type: there is no type 'apc'", "acp"),
    ]
    for line, (begin, near) in zip(lines[2:], hints, strict=True):
        assert line.startswith(begin)
        assert line.endswith(f"Did you mean {near}?")


def test_a_server_does_not_start_with_names_that_config_check_refuses(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(MISNAMED)
    refused = run("check", file).stderr.splitlines()
    data = tmp_path / "data"
    result = CliRunner().invoke(main, ["serve", "--config", str(file), "--data-dir", str(data)])
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"joyvl: {refused[0]}", *refused[1:]]
    result = CliRunner().invoke(main, ["serve", "--engine", "moton", "--data-dir", str(data)])
    assert result.exit_code == 2
    assert "Did you mean motion?" in result.stderr
    assert not data.exists()


def test_settings_that_are_read_again_are_checked_as_at_the_start(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("engine: {name: motion}")
    source = CheckedSource(file)
    assert source.read().engine.name == "motion"
    file.write_text("engine: {name: moton}")
    with pytest.raises(ConfigError, match="Did you mean motion"):
        source.read()


def test_a_level_that_the_log_does_not_have_is_told_with_those_it_has():
    result = run("log-level", "loud", "--server", "http://127.0.0.1:1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "joyvl: There is no level 'loud'. There are: debug, info, warning, error.\n"
    assert run("log-level", "DEBUG", "--server", "http://127.0.0.1:1").exit_code == 1  # nobody is there
