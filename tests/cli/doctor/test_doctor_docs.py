"""docs/troubleshooting.md quotes our own messages: each piece of a quotation stands in the code or the page."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
OF_OTHERS = {"Driver/library version mismatch", "http://THIS-MACHINE:8099"}
HOLES = r"…|\b\d[\d.,]*\b|'[\w.]+'|\.gguf|python|\(process|Permission denied|</silence>|vLLM is starting"
HOLES += "|The program nvidia-smi"
"""what a message has from the case at hand; two words of it stand in two places of the code"""


def said() -> str:
    """Every text of ours, as one line: pieces that stand on lines of their own are joined."""
    files = [*(ROOT / "joyvl_server").rglob("*.py"), *(ROOT / "web").rglob("*.js")]
    text = " ".join(path.read_text("utf-8") for path in files)
    text = re.sub(r'"\s*\n\s*f?"', "", text)
    return re.sub(r"[`\\]", "", re.sub(r"\s+", " ", re.sub(r"\{[^{}\n\"]*\}", "…", text)))


def test_the_page_quotes_what_we_say():
    known, missing, quoted = said(), [], 0
    for paragraph in re.findall(r"\*\*You see\*\*(.*?)(?=\*\*(?:Why|Do|What)|\Z)", PAGE, re.DOTALL):
        for quotation in re.findall(r"`([^`]+)`", paragraph):
            quotation = re.sub(r"\s+", " ", quotation)
            if quotation in OF_OTHERS:
                continue
            quoted += 1
            pieces = [piece.strip(" .,:;?“”()") for piece in re.split(HOLES, quotation)]
            missing += [(quotation, piece) for piece in pieces if len(piece) > 6 and piece not in known]
    assert quoted > 40
    assert missing == []


def test_every_symptom_says_what_to_do():
    for symptom in PAGE.split("**You see**")[2:]:  # the first one is the word itself
        assert "**Do**" in symptom, symptom[:80]
