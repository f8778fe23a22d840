"""Kinds of values that settings are made of, each with the sentence that says how it is written."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, StringConstraints

from joyvl_server.core.errors import ConfigError
from joyvl_server.kit.net.addresses import parse_rule


def _expand(path: Path) -> Path:
    return path.expanduser()


def _check_rule(rule: str) -> str:
    try:
        parse_rule(rule)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return rule


def _check_origin(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("write an origin like https://my.page or http://localhost:3000, without a path")
    return origin


def _check_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("a key is one word, without spaces, and not empty")
    return key


def _check_network(network: str) -> str:
    try:
        return str(ip_network(network.strip(), strict=False))
    except ValueError:
        raise ValueError("give a proxy by its address or network, like 127.0.0.1 or 10.0.0.0/8") from None


def _number_to_text(value: Any) -> Any:
    # YAML reads a key of digits as a number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_language(tag: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag):
        raise ValueError("a language is a BCP 47 tag like en or de-CH")
    return tag


def _check_voice(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}(:[^\s:]{1,80})?", name):
        raise ValueError("a voice is the name of an engine, or engine:voice, like piper:en_US-joe-medium")
    return name


def _check_agent(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise ValueError("the name of an agent has small letters, digits, - and _, like codex")
    return name


def _digits_to_number(value: Any) -> Any:
    # The environment gives text; a choice among numbers is not read from it by itself.
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


def _check_spoken(tag: str) -> str:
    return tag if tag == "auto" else _check_language(tag)


Folder = Annotated[Path, AfterValidator(_expand)]
Key = Annotated[SecretStr, BeforeValidator(_number_to_text), AfterValidator(_check_key)]
Rule = Annotated[str, AfterValidator(_check_rule)]
ProxyNetwork = Annotated[str, AfterValidator(_check_network)]
PublicUrl = Annotated[str, AfterValidator(lambda url: url and _check_origin(url))]
Scheme = Literal["rtsp", "file"]
Origin = Annotated[str, AfterValidator(_check_origin)]
FramesPerTick = Annotated[Literal[1, 2, 4], BeforeValidator(_digits_to_number)]
Language = Annotated[str, AfterValidator(_check_language)]
AgentName = Annotated[str, AfterValidator(_check_agent)]
VoiceName = Annotated[str, AfterValidator(_check_voice)]
LogLevel = Literal["debug", "info", "warning", "error"]
Listen = Literal["auto", "open", "push_to_talk", "off"]
WakeWordText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)]
SpokenLanguage = Annotated[str, AfterValidator(_check_spoken)]
