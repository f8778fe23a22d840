import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from joyvl_server.core.errors import ConfigError
from joyvl_server.engines.openai.engine import OpenAIEngine
from joyvl_server.engines.openai.options import OpenAIOptions, read_options


def test_defaults_need_nothing() -> None:
    options = read_options({})
    assert options.base_url == "http://127.0.0.1:8000/v1"
    assert (options.max_tokens, options.temperature, options.model, options.api_key) == (256, 0.0, "", None)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/", "http://host:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://host/api/v3", "https://host/api/v3"),
        ("http://host/v1/chat/completions", "http://host/v1"),
        (" http://[::1]:80/v1", "http://[::1]:80/v1"),
    ],
)
def test_base_url_is_brought_to_one_form(given: str, read: str) -> None:
    assert read_options({"base_url": given}).base_url == read


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"base_url": "ftp://host/v1"}, "base_url: must be an http or https URL"),
        ({"base_url": "http://host:99999/v1"}, "base_url: is not a URL"),
        ({"base_url": "http:///v1"}, "base_url: must be an http or https URL"),
        ({"base_url": "http://me:hush@host/v1"}, "base_url: must not hold a user or password"),
        ({"base_url": "http://host/v1?api_key=hush"}, "base_url: must end with its path"),
        ({"base_ur": "http://host"}, "there is no such option. Did you mean base_url?"),
        ({"wings": 2}, "there is no such option. There are: base_url"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"temperature": "hush"}, "temperature: Input should be a valid number"),
        ({"api_key": ["hush"]}, "api_key: Input should be a valid string"),
        ({"image_detail": "hush"}, "image_detail: Input should be "),
        ({"extra_body": {"messages": ["hush"]}}, "extra_body: must not hold `messages`"),
        ({"api_key": "hush", "api_key_file": "/x"}, "give api_key or api_key_file, not both"),
        ({"api_key_file": "/nowhere/key"}, "api_key_file: /nowhere/key cannot be read: No such file"),
        ({"system_prompt_file": "/nowhere/prompt"}, "system_prompt_file: /nowhere/prompt cannot be read"),
    ],
)
def test_wrong_options_are_told_in_a_sentence_without_values(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        OpenAIEngine(given)
    assert str(caught.value).startswith("engine.options.openai")
    assert "hush" not in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"max_tokens: .*top_p: "):
        read_options({"max_tokens": -1, "top_p": 7})


def test_the_key_may_stand_in_a_file(tmp_path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-hush\n")
    options = read_options({"api_key_file": str(file)})
    assert options.api_key is not None
    assert options.api_key.get_secret_value() == "sk-hush"
    assert "sk-hush" not in repr(options)


@pytest.mark.parametrize("content", ["", "  \n", "one\ntwo", "clé"])
def test_a_key_file_must_hold_one_key(tmp_path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(ConfigError, match="must hold one line"):
        read_options({"api_key_file": str(file)})


def test_files_are_bounded_and_text(tmp_path) -> None:
    file = tmp_path / "prompt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        OpenAIEngine({"system_prompt_file": file})
    file.write_text("x" * 70_000)
    with pytest.raises(ConfigError, match="is longer than 65536 characters"):
        OpenAIEngine({"system_prompt_file": file})


def test_options_cannot_be_changed_later() -> None:
    with pytest.raises(ValidationError):
        read_options({}).max_tokens = 7  # type: ignore[misc]


def test_every_option_is_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "engines.md"
    rows = re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE)
    assert set(OpenAIOptions.model_fields) <= set(rows)
