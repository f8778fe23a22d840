import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from joyvl_server.cli.config import SHOWN_DEFAULTS, annotated_yaml, reference_markdown
from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.settings_layers import leaves
from joyvl_server.settings import ServerSettings, Settings, asks_for_keys, check_listen, default_data_dir, load
from joyvl_server.settings import timeline as zones

ROOT = Path(__file__).parent.parent
NAMES = [".".join(names) for names, _ in leaves(Settings)]


@pytest.fixture
def write(tmp_path):
    def write(text, name="joyvl.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(config=None, overrides=None, **environ):
    with pytest.raises(ConfigError) as caught:
        load(config, overrides, environ)
    assert caught.value.__cause__ is None  # a cause would print the values in a traceback
    return str(caught.value)


# -------------------------------------------------------------------------------------------------------- precedence


def test_defaults():
    settings = load(environ={})
    assert settings == Settings()
    assert (settings.server.port, settings.engine.name, settings.data_dir) == (8099, "motion", default_data_dir())


def test_flags_win_over_environment_over_file_over_defaults(write):
    config = write("server: {port: 1, host: 10.0.0.1, max_body_bytes: 5000}\nsessions: {tick_s: 2}\n")
    environ = {"JOYVL_SERVER__PORT": "2", "JOYVL_SERVER__HOST": "10.0.0.2"}
    settings = load(config, {"server": {"port": 3, "host": None}, "demo": None}, environ)
    assert settings.server.port == 3
    assert settings.server.host == "10.0.0.2"
    assert settings.server.max_body_bytes == 5000
    assert settings.server.updates_backlog == 1024
    assert settings.sessions.tick_s == 2.0


def test_options_of_engines_join_from_all_layers(write):
    config = write("engine: {options: {openai: {model: a, base_url: http://file, temperature: 0.5}, other: {x: 1}}}")
    environ = {"JOYVL_ENGINE__OPTIONS__OPENAI__BASE_URL": "http://env"}
    settings = load(config, {"engine": {"options": {"openai": {"model": "flag"}}}}, environ)
    assert settings.engine.options == {
        "openai": {"model": "flag", "base_url": "http://env", "temperature": 0.5},
        "other": {"x": 1},
    }


@pytest.mark.parametrize("written", ["2", " 4 "])
def test_a_choice_among_numbers_is_read_from_the_environment(written):
    assert load(environ={"JOYVL_SESSIONS__FRAMES_PER_TICK": written}).sessions.frames_per_tick == int(written)
    assert "should be 1, 2 or 4" in refusal(JOYVL_SESSIONS__FRAMES_PER_TICK=f"{written}x")
    assert load(environ={"JOYVL_SESSIONS__LANGUAGE": "de-CH"}).sessions.language == "de-CH"


@pytest.mark.parametrize(
    ("written", "pair"),
    [("62000-62031", (62_000, 62_031)), (" 62000 - 62001 ", (62_000, 62_001)), ("62000", (62_000,) * 2)],
)
def test_udp_ports_of_calls(write, written, pair):
    assert load(environ={"JOYVL_WEBRTC__UDP_PORTS": written}).webrtc.port_pair == pair
    assert load(write(f"webrtc: {{udp_ports: {written}}}"), environ={}).webrtc.port_pair == pair
    assert load(environ={}).webrtc.port_pair is None


@pytest.mark.parametrize("wrong", ["80-90", "62031-62000", "62000-70000", "1.5", "some", "62000-62001-62002", "-1"])
def test_udp_ports_that_are_none(wrong):
    assert "webrtc.udp_ports" in refusal(JOYVL_WEBRTC__UDP_PORTS=wrong)


def test_advertised_addresses():
    written = "192.168.1.10, Joyvl.LAN., [fd00::1], *, nas.lan:8099"  # as in allowed_hosts
    told = load(environ={"JOYVL_WEBRTC__ADVERTISED_ADDRESSES": written}).webrtc.advertised_addresses
    assert told == ["192.168.1.10", "joyvl.lan", "fd00::1", "nas.lan"]
    for wrong in (
        "0.0.0.0",
        "224.0.0.1",
        "*.lan",
        "192.168.1",
        "http://a.lan",
        "fe80::1%eth0",
    ):
        assert "webrtc.advertised_addresses" in refusal(JOYVL_WEBRTC__ADVERTISED_ADDRESSES=wrong)


def test_lists_are_replaced_not_joined(write):
    config = write("net: {deny: [10.0.0.0/8]}")
    assert load(config, environ={"JOYVL_NET__DENY": "8.8.8.8"}).net.deny == ["8.8.8.8"]


def test_the_file_is_the_one_given_else_the_one_in_the_environment(write):
    named, given = write("server: {port: 1}", "named.yaml"), write("server: {port: 2}", "given.yaml")
    assert load(environ={"JOYVL_CONFIG": str(named)}).server.port == 1
    assert load(given, environ={"JOYVL_CONFIG": str(named)}).server.port == 2


def test_a_layer_ends_with_its_load(write):
    load(write("server: {port: 1}"), environ={})
    refusal(write("server: {port: x}"))
    assert Settings().server.port == 8099


def test_called_directly_the_environment_has_no_say(monkeypatch):
    monkeypatch.setenv("JOYVL_SERVER__PORT", "1")
    monkeypatch.setenv("SERVER", '{"port": 1}')
    assert Settings().server.port == 8099
    assert Settings(server=ServerSettings(port=5)).server.port == 5
    assert load().server.port == 1


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        Settings().server.port = 1


# ------------------------------------------------------------------------------------------------------- environment


def test_values_from_the_environment(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("first-key\n\nsecond-key\n")
    settings = load(
        environ={
            "JOYVL_DEMO": "false",
            "JOYVL_DATA_DIR": "~/here",
            "JOYVL_SERVER__API_KEYS_FILE": str(keys),
            "JOYVL_SERVER__ALLOWED_HOSTS": '["a.lan", "b.lan"]',
            "JOYVL_NET__ALLOW": "10.0.0.0/8, *.lan,",
            "JOYVL_SESSIONS__THRESHOLD": "0.25",
            "JOYVL_SESSIONS__RECORD_DIR": "/tmp/logs",
            "JOYVL_SERVER__HOST": "",
            "PATH": "/bin",
        }
    )
    assert settings.demo is False
    assert settings.data_dir == Path.home() / "here"
    assert [k.get_secret_value() for k in settings.server.api_keys] == ["first-key", "second-key"]
    assert settings.server.allowed_hosts == ["a.lan", "b.lan"]
    assert settings.net.allow == ["10.0.0.0/8", "*.lan"]
    assert settings.sessions.threshold == 0.25
    assert settings.sessions.record_dir == Path("/tmp/logs")
    assert settings.server.host == "127.0.0.1"


def test_any_setting_and_secrets_of_engines_may_be_files(tmp_path):
    (tmp_path / "port").write_text("8100\n")
    (tmp_path / "key").write_text("sk-geheim\n")
    settings = load(
        environ={
            "JOYVL_SERVER__PORT_FILE": str(tmp_path / "port"),
            "JOYVL_ENGINE__OPTIONS__OPENAI__API_KEY_FILE": str(tmp_path / "key"),
            "JOYVL_ENGINE__OPTIONS__OPENAI__PROMPT_FILE": "/srv/prompt.txt",
        }
    )
    assert settings.server.port == 8100
    assert settings.engine.options["openai"] == {"api_key": "sk-geheim", "prompt_file": "/srv/prompt.txt"}


def test_a_group_or_the_options_as_json():
    environ = {
        "JOYVL_SERVER": '{"port": 1, "host": "::1"}',
        "JOYVL_SERVER__PORT": "2",
        "JOYVL_ENGINE__OPTIONS": '{"a": {}}',
    }
    settings = load(environ=environ)
    assert (settings.server.port, settings.server.host, settings.engine.options) == (2, "::1", {"a": {}})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"JOYVL_SERVER__PROT": "1"},
            "JOYVL_SERVER__PROT: there is no setting 'server.prot'. Did you mean JOYVL_SERVER__PORT?",
        ),
        ({"JOYVL_LOG_LEVEL": "info"}, "Did you mean JOYVL_LOG__LEVEL?"),
        ({"JOYVL_PORT": "1"}, "Did you mean JOYVL_SERVER__PORT?"),
        ({"JOYVL_DATADIR": "/x"}, "Did you mean JOYVL_DATA_DIR?"),
        ({"JOYVL_SERVER__PORT__X": "1"}, "there is no setting 'server.port.x'"),
        ({"JOYVL_ZZZ__QQQ": "1"}, "JOYVL_ZZZ__QQQ: there is no setting 'zzz.qqq'."),
        ({"JOYVL_SERVER": "x"}, "JOYVL_SERVER: this is not JSON."),
        ({"JOYVL_SERVER": "[1]"}, "server: "),
        ({"JOYVL_SERVER__ALLOWED_HOSTS": "[a"}, "JOYVL_SERVER__ALLOWED_HOSTS: this is not JSON."),
        ({"JOYVL_SERVER__PORT": "abc"}, "server.port: should be a valid integer"),
        (
            {"JOYVL_SERVER__API_KEYS_FILE": "/no/such"},
            "/no/such (from JOYVL_SERVER__API_KEYS_FILE) cannot be read: No such file",
        ),
        ({"JOYVL_SERVER__PORT": "1", "JOYVL_SERVER__PORT_FILE": "/dev/null"}, "Use one of them."),
        ({"JOYVL_ENGINE__OPTIONS__A": "1", "JOYVL_ENGINE__OPTIONS__A__B": "1"}, "plain value"),
    ],
)
def test_mistakes_in_the_environment(environ, said):
    assert said in refusal(**environ)


def test_mistakes_in_the_environment_are_told_all_at_once():
    wrong = {
        "JOYVL_SERVER__PROT": "1",
        "JOYVL_SERVER__API_KEYS_FILE": "/no/such",
        "JOYVL_LOG_LEVEL": "info",
        "JOYVL_ENGINE": "moton",
        "JOYVL_SERVER__HOST": "::1",
    }
    assert refusal(**wrong).splitlines() == [
        "JOYVL_ENGINE: this is not JSON.",
        "JOYVL_LOG_LEVEL: there is no setting 'log_level'. Did you mean JOYVL_LOG__LEVEL?",
        "/no/such (from JOYVL_SERVER__API_KEYS_FILE) cannot be read: No such file or directory.",
        "JOYVL_SERVER__PROT: there is no setting 'server.prot'. Did you mean JOYVL_SERVER__PORT?",
    ]


def test_variables_of_other_programs_are_left_alone():
    assert load(environ={"JOYVL_CLIPS": "/x", "JOYVLX_SERVER__PORT": "1", "SERVER__PORT": "1"}) == Settings()


# -------------------------------------------------------------------------------------------------------------- file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server:\n  host: ::1\n  prot: 1\n", "line 3: there is no setting 'server.prot'. Did you mean 'server.port'?"),
        ("tick_s: 1\n", "line 1: there is no setting 'tick_s'. Did you mean 'sessions.tick_s'?"),
        ("sever: {port: 1}\n", "there is no setting 'sever'. Did you mean 'server'?"),
        ("qwertz: 1\n", "there is no setting 'qwertz'."),
        ("server: {port: {x: 1}}\n", "there is no setting 'server.port.x'"),
        ("server:\n  port: 1\n  port: 2\n", "line 3: 'server.port' is set twice."),
        ("server:\n\tport: 1\n", "line 2: this is not YAML: "),
        ("server: [\n", "this is not YAML: "),
        ("- a\n", "write settings as `name: value` lines"),
        ("just text\n", "write settings as `name: value` lines"),
        ("? [a]\n: 1\n", "this is not YAML: found unhashable key"),
        ("a: \x01\n", "this is not YAML: it contains a control character"),
        ("a: 2020-99-99\n", "this is not YAML: it contains a control character or an invalid date"),
        ("1: x\n", "there is no setting '1'"),
        ("a: !!python/object/apply:os.system ['true']\n", "this is not YAML: could not determine a constructor"),
        ("server: {port: 70000}\n", "server.port: should be less than or equal to 65535 ("),
        ("sessions:\n  fidelity: best\n", "sessions.fidelity: should be 'faithful', 'adaptive' or 'eco' ("),
        ("sessions:\n  frames_per_tick: 3\n", "sessions.frames_per_tick: should be 1, 2 or 4 ("),
        ("sessions: {language: 'German'}\n", "sessions.language: a language is a BCP 47 tag like en or de-CH ("),
        ("sessions: {hysteresis: 0.6}\n", "sessions.hysteresis: should be less than or equal to 0.5 ("),
        ("sessions: {lead_turns: 0}\n", "sessions.lead_turns: should be greater than or equal to 1 ("),
        (
            "sessions: {memory_tokens: 300, summary_tokens: 301}\n",
            "sessions: summary_tokens may be at most memory_tokens (",
        ),
        ("server: 1\n", "server: should be a valid dictionary or instance of ServerSettings ("),
        ("net: {schemes: [gopher]}\n", "net.schemes.0: should be 'rtsp' or 'file' ("),
        ("net: {deny: [10.0.0.0/99]}\n", "net.deny.0: '10.0.0.0/99' is neither a network"),
        ("server: {allowed_origins: [my.page]}\n", "server.allowed_origins.0: write an origin like"),
        ("server: {allowed_origins: ['https://my.page/x']}\n", "server.allowed_origins.0: write an origin like"),
        (
            "media: {min_bitrate_kbps: 9000}\n",
            "media: min_bitrate_kbps, start_bitrate_kbps and max_bitrate_kbps must rise",
        ),
        ("server: {api_keys: ['']}\n", "server.api_keys.0: a key is one word"),
        ("server: &a {port: 1}\nmedia: *a\n", "media.port"),
        ("server: &a\n  port: *a\n", "server.port"),
    ],
)
def test_mistakes_in_the_file(write, text, said):
    path = write(text)
    message = refusal(path)
    assert said in message
    assert str(path) in message


def test_every_mistake_is_told_with_its_place(write):
    path = write("server:\n  port: x\nsessions:\n  tick_s: 0\n")
    message = refusal(path, JOYVL_SESSIONS__THRESHOLD="2")
    assert len(message.splitlines()) == 3
    assert f"server.port: should be a valid integer, unable to parse string as an integer ({path}, line 2)" in message
    assert f"sessions.tick_s: should be greater than or equal to 0.1 ({path}, line 4)" in message
    assert "sessions.threshold: should be less than or equal to 1 (JOYVL_SESSIONS__THRESHOLD)" in message


def test_a_flag_that_does_not_exist():
    assert refusal(None, {"server": {"prot": 1}}) == "there is no setting 'server.prot'. Did you mean 'server.port'?"


def test_all_mistyped_names_of_a_file_are_told_at_once(write):
    said = refusal(write("server:\n  prot: 1\n  hots: x\nsever: {port: 1, host: x}\nsessions: {tick_s: 1}\n"))
    assert sorted(line.partition(", line ")[2] for line in said.splitlines()) == [
        "2: there is no setting 'server.prot'. Did you mean 'server.port'?",
        "3: there is no setting 'server.hots'. Did you mean 'server.host'?",
        "4: there is no setting 'sever'. Did you mean 'server'?",
    ]


def test_what_is_no_file(tmp_path, write):
    assert "cannot be read: No such file" in refusal(tmp_path / "none.yaml")
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(tmp_path / "binary")
    assert "larger than" in refusal(write("#" * 1_100_000))


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "server:\n", "server:\n  # port: 1\nlog:\n"])
def test_a_file_or_group_with_nothing_in_it(write, text):
    assert load(write(text), environ={}) == Settings()


# ----------------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    "text",
    [
        "server: {api_keys: [geheim geheim]}",
        "server: {api_keys: {geheim: geheim}}".replace("{geheim: geheim}", "geheim"),
        "server: {api_keys: [[geheim]]}",
        "server: {port: geheim}",
        "server: geheim",
        "engine: {options: geheim}",
        "engine: {options: {openai: geheim}}",
        "server: {api_keys: 'geheim",
        "server:\n  api_keys: [geheim]\n api_keys: geheim",
    ],
)
def test_no_value_is_echoed(write, text):
    assert "geheim" not in refusal(write(text))


def test_no_value_of_the_environment_is_echoed(tmp_path):
    (tmp_path / "key").write_text("geheim geheim")
    assert "geheim" not in refusal(JOYVL_SERVER__PORT_FILE=str(tmp_path / "key"))
    assert "geheim" not in refusal(JOYVL_SERVER__API_KEYS='["geheim"')
    assert "geheim" not in refusal(JOYVL_SERVER__API_KEYS="geheim geheim")


def test_settings_do_not_show_secrets_as_text():
    settings = load(environ={"JOYVL_SERVER__API_KEYS": "geheim", "JOYVL_ENGINE__OPTIONS__OPENAI__API_KEY": "geheim"})
    assert "geheim" not in f"{settings!r} {settings}"


def test_keys_of_digits_are_keys(write):
    assert load(write("server: {api_keys: [12345678]}"), environ={}).server.api_keys[0].get_secret_value() == "12345678"


# --------------------------------------------------------------------------------------------------- what follows


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LocalHost"])
def test_loopback_needs_no_key(host):
    check_listen(Settings(server=ServerSettings(host=host)))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "my.lan", "", "localhost.evil", "::ffff:127.0.0.1"])
def test_beyond_loopback_keys_are_asked_for(host):
    assert asks_for_keys(ServerSettings(host=host))
    check_listen(Settings(server=ServerSettings(host=host)))
    check_listen(Settings(server=ServerSettings(host=host, api_keys=["a-key"])))
    with pytest.raises(ConfigError, match=r"server.auth is off: beyond loopback the server asks for keys"):
        check_listen(Settings(server=ServerSettings(host=host, auth="off")))


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        (False, {}),
        (False, {"allowed_origins": ["https://my.page"]}),
        (True, {"auth": "on"}),
        (True, {"api_keys": ["a-key"]}),
        (True, {"allowed_hosts": ["*"]}),
        (True, {"trusted_proxies": ["127.0.0.1"]}),
        (True, {"public_url": "https://home.example"}),
        (False, {"public_url": "https://home.example", "auth": "off"}),
    ],
)
def test_on_loopback_keys_are_asked_for_where_others_can_reach_it(asked, settings):
    assert asks_for_keys(ServerSettings(**settings)) is asked


def test_origins_and_keys_that_are_right():
    origins = ["https://my.page", "http://localhost:3000"]
    assert ServerSettings(allowed_origins=origins, api_keys=["k-1", 12345]).allowed_origins == origins


def test_the_net_policy_of_the_settings():
    settings = load(
        environ={
            "JOYVL_DATA_DIR": "/data",
            "JOYVL_MEDIA__FILE_ROOTS": "/srv/clips",
            "JOYVL_NET__DENY": "10.0.0.0/8",
            "JOYVL_NET__ALLOW": "10.1.0.0/16",
            "JOYVL_NET__SCHEMES": "rtsp",
        }
    )
    policy = settings.net_policy()
    assert policy.file_roots == ("/data/media", "/srv/clips")
    assert (policy.schemes, policy.allow, policy.deny) == (("rtsp",), ("10.1.0.0/16",), ("10.0.0.0/8",))
    policy.check("rtsp://10.1.0.1/x")


# -------------------------------------------------------------------------------------------------------------- docs


def test_every_setting_says_what_it_is():
    for model in (
        Settings,
        *(i.annotation for i in Settings.model_fields.values() if hasattr(i.annotation, "model_fields")),
    ):
        for name, info in model.model_fields.items():
            assert info.description, name
            assert info.description.endswith("."), name


def test_the_annotated_file_is_current_complete_and_the_defaults(monkeypatch):
    text = (ROOT / "configs" / "joyvl.yaml").read_text(encoding="utf-8")
    assert text == annotated_yaml(), "run: joyvl config show --defaults > configs/joyvl.yaml"
    values = yaml.safe_load(text)
    written = [
        f"{group}.{name}" if isinstance(inner, dict) else group
        for group, inner in values.items()
        for name in (inner if isinstance(inner, dict) else [None])
    ]
    assert written == NAMES
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert values["data_dir"] == SHOWN_DEFAULTS["data_dir"]
    assert load(ROOT / "configs" / "joyvl.yaml", environ={}) == Settings()


def test_the_reference_is_current_and_complete():
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert text == reference_markdown(), "run: joyvl config reference > docs/reference/settings.md"
    for name in NAMES:
        assert text.count(f"| `{name}`<br>`JOYVL_{name.upper().replace('.', '__')}` |") == 1


@pytest.mark.processes
def test_reading_settings_is_light():
    """`joyvl --help` and friends must not wait for numpy or OpenCV."""
    code = "import sys, joyvl_server.settings; print(sorted({'numpy', 'cv2', 'av', 'aiortc'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---------------------------------------------------------------------------------------------------------- the zone


def test_days_are_those_of_the_systems_time_zone_or_of_a_chosen_one(monkeypatch, tmp_path):
    assert load(environ={"JOYVL_TIME_ZONE": "Europe/Zurich"}).zone().key == "Europe/Zurich"
    for wrong in ("Europe/Atlantis", "../etc/passwd", "/etc/localtime", "zurich\n"):
        assert "write the name of a time zone" in refusal(JOYVL_TIME_ZONE=wrong)
    monkeypatch.setenv("TZ", ":Asia/Shanghai")
    assert load(environ={}).zone().key == "Asia/Shanghai"
    monkeypatch.setenv("TZ", "CET-1CEST")
    monkeypatch.setattr(zones, "LOCALTIME", tmp_path / "zoneinfo" / "Asia" / "Tokyo")
    assert load(environ={}).zone().key == "Asia/Tokyo"
    monkeypatch.setattr(zones, "LOCALTIME", tmp_path / "none")
    assert load(environ={}).zone().key == "UTC"
