"""Is each marker of the protocol one token? Then silent or speak is one probability; else the model writes text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from joyvl_server.cli.doctor.model.place import ModelPlace
from joyvl_server.cli.doctor.report import Finding, ok, problem, skipped, warning
from joyvl_server.cli.doctor.threads import off_loop
from joyvl_server.core.prompt.turns import SILENCE
from joyvl_server.core.prompt.wire_format import RESPONSE

FILE = "tokenizer.json"
LETTERS = "ABCDEFGH"


class MarkerCheck:
    """See `Check`."""

    name = "markers"
    limit_s = 60.0

    def __init__(self, place: ModelPlace) -> None:
        self._place = place

    async def run(self) -> Iterable[Finding]:
        return [await off_loop(self._look)]

    def _look(self) -> Finding:
        folder = self._place.folder
        if folder is None or not (folder / FILE).is_file():
            return skipped("The markers were not looked at: there is no tokenizer on this machine.")
        tokenizer = load_tokenizer(folder / FILE)
        if isinstance(tokenizer, str):
            return problem(f"{folder / FILE} cannot be read: {tokenizer}.", "Delete this file and fetch it again.")
        lengths = {marker: len(ids_of(tokenizer, marker)) for marker in (SILENCE, RESPONSE)}
        split = {marker: count for marker, count in lengths.items() if count != 1}
        if split:
            shown = " and ".join(f"{marker} is {count} tokens" for marker, count in split.items())
            return problem(
                f"This model does not know the markers of the interaction protocol: {shown}  instead of one. It "
                "would be told in plain words, and decide yes or no without a score.",
                "Use the weights of jdopensource/JoyAI-VL-Interaction (or its preview), not those of plain Qwen3-VL.",
            )
        if any(len(ids_of(tokenizer, letter)) != 1 for letter in LETTERS):
            return warning(
                "The markers are one token each, but letters are not: the model cannot choose between watches.",
                "Use the tokenizer of the published weights.",
            )
        return ok(f"{SILENCE} and {RESPONSE} are one token each, so every second gets a score.")


def load_tokenizer(path: object) -> Any | str:
    """The tokenizer, or why it cannot be had. Blocks."""
    try:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(path))
    except ImportError as error:
        return f"the package tokenizers is missing ({error})"
    except Exception as error:  # the library raises plain Exception for a file that it cannot read
        return str(error)[:120]


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return cast(list[int], tokenizer.encode(text, add_special_tokens=False).ids)
