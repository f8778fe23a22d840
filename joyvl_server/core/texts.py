"""Text from outside made fit for UTF-8: JSON may hold half a surrogate pair ("\\ud83d"), a file or an answer cannot."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """`text` with the halves of surrogate pairs joined where they meet, and each lone half as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class TextJoiner:
    """Makes a stream of pieces well formed: a pair may be split between two of them."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What is whole by now; the first half of a pair at the end waits for the next piece."""
        text, self._held = self._held + piece, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return well_formed(text)

    def finish(self) -> str:
        """What was held, now that nothing follows."""
        held, self._held = self._held, ""
        return well_formed(held)
