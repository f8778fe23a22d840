"""A voice of the browser that tests lead: Chromium without a screen has none."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

STUB = """
(() => {
  const target = new EventTarget();
  const fire = (type, more = {}) => {
    const one = window.said.at(-1);
    one["on" + type]?.(Object.assign(new Event(type), more));
  };
  window.said = [];      // everything that was given to the voice
  window.cancelled = 0;  // how often it fell silent
  window.voice = {
    start: () => fire("start"),
    word: (at) => fire("boundary", { name: "word", charIndex: at }),
    end: () => fire("end"),
    fail: (error) => fire("error", { error }),
  };
  Object.assign(target, {
    getVoices: () => [
      { lang: "en-US", name: "One", localService: true, default: true },
      { lang: "zh-CN", name: "Two", localService: true, default: false },
    ],
    speak: (utterance) => window.said.push(utterance),
    cancel: () => { window.cancelled += 1; },
    pause: () => {}, resume: () => {},
  });
  Object.defineProperty(window, "speechSynthesis", { value: target });
  window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
})();
"""


class LedVoice:
    """What the page gave to its voice, and how far that is."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def said(self, count: int) -> dict[str, Any]:
        """The newest sentence of `count`; waits for it."""
        self._page.wait_for_function(f"() => window.said.length >= {count}")
        newest: dict[str, Any] = self._page.evaluate(
            "(({ text, lang, volume }) => ({ text, lang, volume, count: window.said.length }))(window.said.at(-1))"
        )
        assert newest["count"] == count
        return newest

    def lead(self, steps: str) -> None:
        """`start()`, `word(5)`, `end()`, `fail("not-allowed")` …"""
        self._page.evaluate(f"window.voice.{steps}")

    def silent(self, times: int) -> None:
        """It was told to fall silent so often; waits for it."""
        self._page.wait_for_function(f"() => window.cancelled === {times}")


def switch_on(page: Page) -> None:
    """The button that lets the page speak."""
    button = page.get_by_role("button", name="Voice", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
