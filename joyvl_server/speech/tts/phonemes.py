"""From text to the phonemes that Kokoro was trained on: Chinese by misaki, everything else by espeak-ng's IPA.

Plain Python; runs in Kokoro's process. A text may mix both: each run of letters goes its own way.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from joyvl_server.speech.process.worker import EngineFault

TIMEOUT_S = 10.0

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\u3007"
_RUNS = re.compile(rf"[{_HAN}][{_HAN}\d%，。！？、；：“”（）《》…—·\s]*|[^{_HAN}]+")
_HAS_HAN = re.compile(rf"[{_HAN}]")
_MARKS = re.compile(r"\s*([;:,.!?¡¿—…\"()“”]+)\s*")
_WIDE_MARKS = str.maketrans("，。！？、；：（）", ",.!?,;:()")
_ESPEAK_TO_KOKORO = (("ʲ", "j"), ("r", "ɹ"), ("x", "k"), ("ɬ", "l"), ("(en)", ""), ("‍", ""), ("\u0361", ""), ("_", ""))
"""What espeak-ng writes and Kokoro's vocabulary has under another sign."""
_SWITCH = re.compile(r"\([a-z-]+\)")
"""espeak-ng marks a word of another language."""


class Phonemes:
    """`cache`: a folder of ours for jieba's dictionary, which it would else read from where everybody may write."""

    def __init__(self, cache: Path, program: str = "espeak-ng") -> None:
        self._cache = cache
        self._program = shutil.which(program) or ""
        self._chinese: Any = None
        self._loading = threading.Lock()

    def warm(self) -> None:
        """Load what Chinese needs (a second or more), so that the first sentence does not wait for it."""
        try:
            self._chinese_reader()
        except EngineFault:
            pass  # the first Chinese sentence says so

    def of(self, text: str, accent: str) -> str:
        """`accent`: espeak-ng's name of the voice's language, as `en-us`. Raises `EngineFault`."""
        if not _HAS_HAN.search(text):
            return self._by_espeak(text, accent)
        runs = _RUNS.findall(text)
        return " ".join(
            self._by_misaki(run) if _HAS_HAN.search(run) else self._by_espeak(run.translate(_WIDE_MARKS), "en-us")
            for run in runs
            if run.strip()
        )

    def _by_misaki(self, text: str) -> str:
        found = self._chinese_reader()(text)
        return str(found[0] if isinstance(found, tuple) else found)

    def _chinese_reader(self) -> Any:
        with self._loading:
            if self._chinese is None:
                try:
                    import jieba
                    from misaki.zh import ZHG2P
                except ImportError as error:
                    raise EngineFault(f"Chinese needs the package misaki[zh] ({error}).", "no_voice") from None
                self._cache.mkdir(parents=True, exist_ok=True)
                jieba.dt.tmp_dir = str(self._cache)
                jieba.setLogLevel(60)
                reader = ZHG2P()
                reader("你好，今天是个好天气。")
                self._chinese = reader
            return self._chinese

    def _by_espeak(self, text: str, accent: str) -> str:
        """Words by espeak-ng, marks as they are: they make the melody."""
        parts = _MARKS.split(text.strip())
        words, marks = parts[::2], [*parts[1::2], ""]
        spoken = iter(self._lines([word for word in words if word.strip()], accent))
        found = ""
        for word, mark in zip(words, marks, strict=True):
            found += (next(spoken) if word.strip() else "") + (f"{mark} " if mark else "")
        return found.strip()

    def _lines(self, texts: list[str], accent: str) -> list[str]:
        """Each text as IPA. In one call where espeak-ng gives a line for each, which it does but for long ones."""
        if not texts:
            return []
        lines = self._espeak("\n".join(text.replace("\n", " ") for text in texts), accent)
        if len(lines) != len(texts):
            lines = [" ".join(self._espeak(text, accent)) for text in texts]
        return [_clean(line) for line in lines]

    def _espeak(self, text: str, accent: str) -> list[str]:
        if not self._program:
            raise EngineFault("Kokoro needs espeak-ng for all but Chinese: apt-get install espeak-ng.", "unavailable")
        command = [self._program, "-q", "--ipa", "-b", "1", "-v", accent, "--stdin"]
        try:
            done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=TIMEOUT_S, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineFault(f"espeak-ng gave no phonemes: {type(error).__name__}.") from None
        return [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]


def _clean(ipa: str) -> str:
    ipa = _SWITCH.sub("", " ".join(ipa.split()))
    for sign, ours in _ESPEAK_TO_KOKORO:
        ipa = ipa.replace(sign, ours)
    return ipa
