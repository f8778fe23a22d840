"""Does the model's chat template only append? Then a second costs its new turn; else the whole prompt each time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from joyvl_server.cli.doctor.model.place import ModelPlace
from joyvl_server.cli.doctor.model.tokenizer import FILE, ids_of, load_tokenizer
from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.prompt import wire_format
from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import RESPONSE

TURNS = 5
LARGEST = 200_000
ANSWERS = (SILENCE, SILENCE, f"{RESPONSE} Somebody enters.", SILENCE, f"{RESPONSE} They leave.")
OWN = "Give vLLM a template that only appends: engine.options.vllm.chat_template."


class TemplateFault(Exception):
    """A template that cannot be rendered, in words."""


class TemplateCheck:
    """See `Check`. Renders n and n+1 turns, pictures and all,  in a sandbox: a template is somebody else's program."""

    name = "template"
    limit_s = 30.0

    def __init__(self, place: ModelPlace, own: Path | None = None) -> None:
        """`own`: engine.options.vllm.chat_template."""
        self._place = place
        self._own = own

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        folder = self._place.folder
        if self._own is None and (folder is None or not folder.is_dir()):
            return skipped("The chat template was not looked at: there is no model on this machine.")
        try:
            text = self._own.read_text("utf-8") if self._own is not None else read_template(folder or Path())
            if text is None:
                return problem(f"{folder} has no chat template.", f"Fetch the model again. {OWN}")
            prompts = rendered(text)
        except (TemplateFault, OSError, ValueError) as error:
            return problem(f"The chat template cannot be used: {error}.", f"Fetch the model again. {OWN}")
        pictures = prompts[-1].count("<|image_pad|>")
        if SILENCE not in prompts[-1] or RESPONSE not in prompts[-1]:
            return problem("The chat template leaves the model's own markers out of earlier turns.", OWN)
        grown = self._tokens(prompts, folder)
        for number, (before, after) in enumerate(pairwise(grown), 1):
            if after[: len(before)] != before:
                return warning(
                    f"The chat template changes earlier turns when a new one comes (seen at turn {number + 1}): the "
                    "engine computes the whole prompt at each second, and gets slower and slower.",
                    OWN,
                )
        if pictures and pictures != len(prompts):
            return warning(f"{len(prompts)} turns have {pictures} pictures in the chat template's text.", OWN)
        return ok(f"The chat template only appends: {len(prompts)} prompts of one turn more each were compared.")

    def _tokens(self, prompts: list[str], folder: Path | None) -> list[Any]:
        """The prompts as the engine's cache compares them: in tokens, where there is a tokenizer."""
        tokenizer = load_tokenizer(folder / FILE) if folder is not None and (folder / FILE).is_file() else "none"
        return list(prompts) if isinstance(tokenizer, str) else [ids_of(tokenizer, prompt) for prompt in prompts]


def read_template(folder: Path) -> str | None:
    """As vLLM finds it: chat_template.jinja, chat_template.json, or the tokenizer's configuration.

    Raises `OSError`, `ValueError`.
    """
    plain = folder / "chat_template.jinja"
    if plain.is_file():
        return plain.read_text("utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            found = json.loads((folder / name).read_text("utf-8"))
            template = found.get("chat_template") if isinstance(found, dict) else None
            if isinstance(template, list):  # several, by name
                named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
                template = named.get("default")
            if isinstance(template, str):
                return template
    return None


def rendered(text: str) -> list[str]:
    """The prompts of one turn, of two, and so on. Raises `TemplateFault`."""
    if len(text) > LARGEST:
        raise TemplateFault("it is too long")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals.update(raise_exception=_refuse, strftime_now=lambda form: "")
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    try:
        template = environment.from_string(text)
        prompts = []
        messages: list[dict[str, Any]] = [{"role": "system", "content": wire_format.system_prompt()}]
        for second in range(TURNS):
            content = [{"type": "text", "text": f"{wire_format.time_tag(float(second))}\n"}, {"type": "image"}]
            messages.append({"role": "user", "content": content})
            prompts.append(template.render(messages=messages, add_generation_prompt=True, tools=None))
            messages.append({"role": "assistant", "content": ANSWERS[second]})
    except TemplateError as error:
        raise TemplateFault(f"it cannot be rendered ({error})") from None
    except Exception as error:  # whatever a template does with our messages
        raise TemplateFault(f"it fails with {type(error).__name__}: {error}") from None
    return prompts


def _refuse(why: str) -> None:
    raise TemplateFault(str(why)[:120])
