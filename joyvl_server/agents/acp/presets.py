"""Agents that are known: how each is started, made to ask, told which model to use, and logged in to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from joyvl_server.agents.acp.options import AcpModel, AcpOptions, PresetName

KEY_VARIABLE = "JOYVL_MODEL_KEY"
NO_KEY = "none"
"""for servers that want no key, and agents that want one"""


@dataclass(frozen=True, slots=True)
class Start:
    """What one start is given beside the command: `temporary` is the folder for what is thrown away."""

    options: AcpOptions
    key: str
    temporary: Path
    confined: bool


@dataclass(frozen=True, slots=True)
class Added:
    """`writable`: further folders in which it must be able to write; they are made where they are not there."""

    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    writable: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """`ask_modes`: those in which it asks, the best first. `asks_by_settings`: what `added_to` gives it makes it ask,
    in each of its modes. `works_elsewhere`: a sentence where it hands its work to a program that we do not hold; its
    modes are about other things then. `node`: the oldest version of Node.js that it runs on. `bwrap`: it needs that
    program where nothing else confines it. `login_files`: where in its HOME its login lies, and a word in that file;
    `needs_login`: without one, a key or a model server it does nothing. `warnings`: see `SessionUpdates`. `unshown`:
    see `permission_of`."""

    name: PresetName
    command: tuple[str, ...]
    ask_modes: tuple[str, ...] = ()
    asks_by_settings: bool = False
    works_elsewhere: str = ""
    login: tuple[str, ...] = ()
    install: str = ""
    node: tuple[int, int] | None = None
    bwrap: bool = False
    login_files: tuple[tuple[str, str], ...] = ()
    needs_login: bool = False
    warnings: tuple[str, ...] = ()
    unshown: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------------------- opencode

ASK_FIRST = {
    "*": "ask", "read": "allow", "glob": "allow", "grep": "allow", "list": "allow", "todoread": "allow",
    "todowrite": "allow", "external_directory": "ask",
}  # fmt: skip


def _opencode(start: Start) -> Added:
    """Its settings come in a variable, which outranks every file; files of the task's folder are not read at all."""
    settings: dict[str, object] = {"autoupdate": False, "share": "disabled", "permission": ASK_FIRST}
    env = {
        "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_CLAUDE_CODE": "1",
    }
    if (model := start.options.model) is not None:
        env["OPENCODE_DISABLE_MODELS_FETCH"] = "1"
        sees = ["text", "image"] if model.images else ["text"]
        entry = {"name": model.name, "attachment": model.images, "modalities": {"input": sees, "output": ["text"]}}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "joyvl",
            "options": {"baseURL": model.base_url, "apiKey": start.key or NO_KEY},
            "models": {model.name: entry},
        }
        used = f"joyvl/{model.name}"
        settings |= {"provider": {"joyvl": provider}, "model": used, "small_model": used}
    return Added(env={**env, "OPENCODE_CONFIG_CONTENT": json.dumps(settings)})


# ---------------------------------------------------------------------------------------------------------------- codex


CODEX_BOOKKEEPING = (
    "call_id", "turn_id", "started_at_ms", "parsed_cmd", "proposed_execpolicy_amendment", "available_decisions",
    "Proposed Amendment: ", "Available Decisions: ",
)  # fmt: skip
"""of a permission: all of it is in the command, or among the options"""
CODEX_WARNINGS = ("Model metadata for ", "Heads up: ", "Codex could not find ")


def _codex(start: Start) -> Added:
    """Its own sandbox cannot begin inside of ours, and one is enough. "untrusted": it asks before each command but
    those that only read."""
    settings = {
        "approval_policy": "untrusted",
        "sandbox_mode": "danger-full-access" if start.confined else "workspace-write",
        "check_for_update_on_startup": False,
        "analytics.enabled": False,
    }
    env = {}
    if (model := start.options.model) is not None:
        settings |= {"model": model.name, "model_provider": "joyvl"}
        settings |= {
            f"model_providers.joyvl.{name}": value
            for name, value in _codex_provider(model).items()
        }  # fmt: skip
        env[KEY_VARIABLE] = start.key or NO_KEY
    args = [word for name, value in settings.items() for word in ("-c", f"{name}={json.dumps(value)}")]
    return Added(tuple(args), env)


def _codex_provider(model: AcpModel) -> dict[str, str]:
    return {"name": "joyvl", "base_url": model.base_url, "env_key": KEY_VARIABLE, "wire_api": "responses"}


# --------------------------------------------------------------------------------------------------------------- claude


def _claude(start: Start) -> Added:
    env = {
        "CLAUDE_CODE_TMPDIR": str(start.temporary),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    if (model := start.options.model) is not None:
        env |= {
            "ANTHROPIC_BASE_URL": model.base_url.removesuffix("/v1"),
            "ANTHROPIC_API_KEY": start.key or NO_KEY,
            "ANTHROPIC_MODEL": model.name,
            "ANTHROPIC_SMALL_FAST_MODEL": model.name,
        }
    return Added(env=env)


# ------------------------------------------------------------------------------------------------------------- openclaw


def _openclaw(start: Start) -> Added:
    """A bridge to its gateway. It locks its own database in a folder that no variable moves, and writes a log there
    unless it is told not to. It waits 15 s for its gateway's first word, which is little for a process at nice 19."""
    env = {
        "OPENCLAW_HIDE_BANNER": "1", "OPENCLAW_SUPPRESS_NOTES": "1", "OPENCLAW_LOG_LEVEL": "silent",
        "OPENCLAW_HANDSHAKE_TIMEOUT_MS": str(round(start.options.start_s * 1000)),
    }  # fmt: skip
    return Added(env=env, writable=(Path(f"/tmp/openclaw-state-locks-{os.getuid()}"),))


# ------------------------------------------------------------------------------------------------------------- the rest


PRESETS: dict[PresetName, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "opencode", ("opencode", "acp"), ask_modes=("build", "plan"), asks_by_settings=True,
            login=("opencode", "auth", "login"), install="npm install -g opencode-ai",
            login_files=((".local/share/opencode/auth.json", '"type"'), (".config/opencode/opencode.json", "provider")),
        ),
        Preset(
            "codex", ("codex-acp",), asks_by_settings=True, login=("codex", "login"),
            install="npm install -g @zed-industries/codex-acp (and @openai/codex to log in)", bwrap=True,
            login_files=((".codex/auth.json", ""),), warnings=CODEX_WARNINGS, unshown=CODEX_BOOKKEEPING,
        ),
        Preset(
            "claude", ("claude-agent-acp",), ask_modes=("default", "plan"),
            login=("claude-agent-acp", "--cli", "auth", "login"),
            install="npm install -g @agentclientprotocol/claude-agent-acp", node=(22, 0), needs_login=True,
            login_files=(
                (".claude/.credentials.json", ""), (".claude/settings.json", ""), (".claude.json", "primaryApiKey"),
                (".claude.json", "oauthAccount"),
            ),
        ),
        Preset(
            "openclaw", ("openclaw", "acp"), login=("openclaw", "onboard", "--mode", "remote"),
            install="npm install -g openclaw", node=(24, 16),
            works_elsewhere="Its gateway does the work, and settings of that (tools.exec.mode) say whether it asks.",
        ),
        Preset("custom", ()),
    )
}  # fmt: skip
_ADDED: Mapping[PresetName, Callable[[Start], Added]] = {
    "opencode": _opencode,
    "codex": _codex,
    "claude": _claude,
    "openclaw": _openclaw,
}


def added_to(preset: Preset, start: Start) -> Added:
    """What makes it ask and use the model of the options."""
    add = _ADDED.get(preset.name)
    return Added() if add is None else add(start)
