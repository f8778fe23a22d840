"""The page speaks with the browser's own voice, or plays the server's, and shows who speaks and what was heard."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fakes.page.site import Site, open_live
from fakes.page.voice import STUB, LedVoice, switch_on
from fakes.page.world import Session
from fakes.patience import wait_until
from fakes.server.browser import PHONE, Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TEXT = "A person comes in. They carry a box."


@pytest.fixture
def speaking(context: BrowserContext, site: Site) -> Iterator[Page]:
    """A tab whose browser has a voice, which is switched on."""
    watched = Watched(context, site.base)
    watched.page.add_init_script(STUB)
    open_live(watched.page, site.base)
    switch_on(watched.page)
    wait_until(lambda: site.world.asked_for[-1] == {"speaks": "true"})
    yield watched.page
    assert watched.complaints == []


def last_report(site: Site, **wanted: object) -> None:
    wait_until(lambda: site.world.reported and {**site.world.reported[-1], **wanted} == site.world.reported[-1])


def test_it_speaks_sentence_by_sentence_while_the_text_still_comes(
    speaking: Page, site: Site, session: Session
) -> None:
    voice = LedVoice(speaking)
    epoch = session.say("A person comes in. They ")
    session.publish("output_audio_buffer.started", epoch=epoch, by_client=True)
    assert voice.said(1) == {"text": "A person comes in. ", "lang": "en-US", "volume": 1, "count": 1}
    voice.lead("start()")
    last_report(site, epoch=epoch, heard=1, ended=False)
    voice.lead("word(9)")
    last_report(site, heard=9)
    expect(speaking.locator(".caption[data-speaker=session]")).to_have_text("A person comes in.")
    voice.lead("end()")
    session.publish("response.output_text.delta", epoch=epoch, delta="carry a box. 有人来了。")
    assert voice.said(2)["text"] == "They carry a box. "
    expect(speaking.locator(".hearing.now")).to_have_text("Speaking")
    session.publish(
        "response.output_text.done", epoch=epoch, t=1, wall=time.time(), text=f"{TEXT} 有人来了。", urgency="remark"
    )
    voice.lead("start()")
    voice.lead("end()")
    assert voice.said(3)["lang"] == "zh-CN"
    voice.lead("start()")
    voice.lead("end()")
    last_report(site, epoch=epoch, heard=len(f"{TEXT} 有人来了。"), ended=True)


def test_it_falls_silent_while_somebody_speaks_and_goes_on_from_that_word(
    speaking: Page, site: Site, session: Session
) -> None:
    voice = LedVoice(speaking)
    epoch = session.say(TEXT + " ")
    session.publish("output_audio_buffer.started", epoch=epoch, by_client=True)
    voice.said(1)
    voice.lead("start()")
    voice.lead("word(9)")
    session.publish("output_audio_buffer.held", epoch=epoch)
    voice.silent(1)
    expect(speaking.locator(".hearing.now")).to_have_text("Waiting: somebody speaks")
    session.publish("output_audio_buffer.resumed", epoch=epoch)
    assert voice.said(2)["text"] == "comes in. "
    voice.lead("start()")
    voice.lead("word(6)")
    last_report(site, heard=15)
    session.publish("output_audio_buffer.cleared", epoch=epoch)
    voice.silent(2)
    session.publish("output_audio_buffer.stopped", epoch=epoch, heard=15)
    session.publish("conversation.item.truncated", epoch=epoch, t=2.0, heard="A person comes ")
    expect(speaking.locator(".hearing.cut-off")).to_have_text("Cut off after “A person comes”")
    expect(speaking.locator(".caption")).to_have_count(0)


def test_a_voice_that_fails_is_told_and_the_next_remark_is_spoken(speaking: Page, site: Site, session: Session) -> None:
    voice = LedVoice(speaking)
    first = session.say("One thing. ")
    session.publish("output_audio_buffer.started", epoch=first, by_client=True)
    voice.said(1)
    voice.lead("fail('synthesis-failed')")
    last_report(site, epoch=first, heard=0, ended=True)
    expect(speaking.get_by_text("The browser's voice failed.")).to_be_visible()
    second = session.say("Another thing. ")
    session.publish("output_audio_buffer.started", epoch=second, by_client=True)
    voice.said(2)
    voice.lead("start()")
    expect(speaking.get_by_text("The browser's voice failed.")).to_have_count(0)


def test_only_one_of_two_tabs_speaks(speaking: Page, context: BrowserContext, site: Site, session: Session) -> None:
    other = context.new_page()
    other.add_init_script(STUB)
    open_live(other, site.base)
    other.locator("h1").click()
    expect(other.get_by_text("Another tab speaks.")).to_be_visible()
    assert site.world.asked_for[-1] == {}
    speaking.close()
    wait_until(lambda: site.world.asked_for[-1] == {"speaks": "true"})
    expect(other.get_by_text("Another tab speaks.")).to_have_count(0)
    epoch = session.say("Somebody comes. ")
    session.publish("output_audio_buffer.started", epoch=epoch, by_client=True)
    LedVoice(other).said(1)


def test_a_browser_without_voices_says_so_and_does_not_claim_to_speak(page: Page, site: Site) -> None:
    switch_on(page)
    expect(page.get_by_text("This browser has no voice of its own")).to_be_visible()
    assert site.world.asked_for[-1] == {}


def test_after_a_reload_it_says_that_it_needs_a_click(speaking: Page, site: Site) -> None:
    speaking.reload()
    expect(speaking.get_by_text("Click anywhere to hear its voice")).to_be_visible()
    assert site.world.asked_for[-1] == {}
    speaking.locator("h1").click()
    wait_until(lambda: site.world.asked_for[-1] == {"speaks": "true"})


def test_the_servers_sound_is_played_and_stops_when_it_is_cleared(page: Page, site: Site, session: Session) -> None:
    page.evaluate(
        """() => {
          window.pieces = { started: 0, stopped: 0 };
          const node = AudioBufferSourceNode.prototype;
          const { start, stop } = node;
          node.start = function (...how) { window.pieces.started += 1; return start.apply(this, how); };
          node.stop = function (...how) { window.pieces.stopped += 1; return stop.apply(this, how); };
        }"""
    )
    session.voice = "piper"
    session.publish("session.updated", session=session.to_dict())
    switch_on(page)
    wait_until(lambda: site.world.asked_for[-1] == {"audio": "true"})
    minute = base64.b64encode(np.zeros(60 * 8000, "<i2").tobytes()).decode()
    pieces = site.world.sound.setdefault(session.id, [])
    wait_until(lambda: page.locator(".live[data-stream=live]").is_visible())
    pieces.append({"type": "response.output_audio.delta", "epoch": 7, "rate": 8000, "delta": minute})
    page.wait_for_function("() => window.pieces.started === 1")
    pieces.append({"type": "output_audio_buffer.cleared", "epoch": 7})
    page.wait_for_function("() => window.pieces.stopped === 1")
    pieces.append({"type": "response.output_audio.delta", "epoch": 7, "rate": 8000, "delta": minute})
    pieces.append({"type": "response.output_audio.delta", "epoch": 8, "rate": 8000, "delta": minute})
    page.wait_for_function("() => window.pieces.started === 2")


def test_what_somebody_says_is_shown_while_it_is_said_and_then_as_a_line(page: Page, session: Session) -> None:
    session.publish("input_audio_buffer.speech_started", item_id="spk_1", t=1.0)
    caption = page.locator(".caption[data-speaker=user]")
    expect(caption).to_have_text("Listening…")
    words = "conversation.item.input_audio_transcription"
    session.publish(f"{words}.delta", item_id="spk_1", transcript="is anybody")
    expect(caption).to_have_text("is anybody")
    session.publish("input_audio_buffer.speech_stopped", item_id="spk_1", t=2.0)
    session.publish(f"{words}.completed", item_id="spk_1", transcript="Is anybody there?", addressed=True)
    expect(caption).to_have_count(0)
    session.ask("Is anybody there?")
    expect(page.locator(".line.asked")).to_have_count(1)
    expect(page.locator(".line.heard")).to_have_count(0)
    session.publish(f"{words}.completed", item_id="spk_2", transcript="Dinner is ready.", addressed=False)
    expect(page.locator(".line.heard.aside")).to_contain_text("Dinner is ready.")


def test_what_was_heard_is_known_after_a_reload(page: Page, session: Session) -> None:
    tick = session.tick("speak", text=TEXT, score=0.9)
    session.note("cut_off", "A person comes", epoch=tick["epoch"])
    session.note("heard", "Dinner is ready.", item_id="spk_2", addressed=False)
    session.note("heard", "Is anybody there?", item_id="spk_1", addressed=True)
    session.ask("Is anybody there?")
    page.reload()
    expect(page.locator(".hearing.cut-off")).to_have_text("Cut off after “A person comes”")
    expect(page.locator(".line.heard.aside")).to_contain_text("Dinner is ready.")
    expect(page.locator(".line.heard")).to_have_count(1)
    expect(page.locator(".line.asked .icon")).to_be_visible()


def test_what_was_heard_whole_is_known_after_a_reload(page: Page, session: Session) -> None:
    for text, heard in ((TEXT, len(TEXT)), ("There is smoke in the kitchen.", 14), ("Nobody listened.", 0)):
        tick = session.tick("speak", text=text, score=0.9)
        if heard:
            session.note("played", epoch=tick["epoch"], heard=heard)
    page.reload()
    lines = page.locator(".line.said")
    expect(lines.nth(0).locator(".hearing")).to_have_text("Heard")
    expect(lines.nth(1).locator(".hearing")).to_have_text("Heard up to “There is smoke”")
    expect(lines.nth(2)).to_contain_text("Nobody listened.")
    expect(lines.nth(2).locator(".hearing")).to_have_count(0)


def voice_groups(page: Page) -> dict[str, list[str]]:
    """The names to choose from, by group; those without a group under an empty one."""
    return page.get_by_label("It speaks with").evaluate(
        """(select) => Object.fromEntries([["", [...select.children].filter((one) => one.tagName === "OPTION")],
          ...[...select.querySelectorAll("optgroup")].map((group) => [group.label, [...group.children]])]
          .map(([label, options]) => [label, options.map((one) => one.textContent)]))"""
    )


def test_a_voice_of_the_server_is_chosen_by_engine_and_language(page: Page, site: Site, session: Session) -> None:
    page.get_by_text("Sound settings", exact=True).click()
    choice = page.get_by_label("It speaks with")
    expect(choice.locator("optgroup")).to_have_count(5)
    assert voice_groups(page) == {
        "": ["The server's choice", "This browser's own voice", "No voice"],
        "By the language of each sentence": ["eSpeak", "Kokoro", "Piper"],
        "Kokoro · English": ["Heart, American English"],
        "Piper · English": ["Joe, American English"],
        "eSpeak · English": ["English (Great Britain)", "English (America)"],
        "Kokoro · Chinese": ["Xiaoxiao"],
    }
    choice.select_option("Joe, American English")
    wait_until(lambda: session.voice == "piper:en_US-joe-medium")
    page.get_by_role("button", name="Voices of other languages (23)").click()
    expect(page.get_by_role("button", name="Voices of other languages")).to_have_count(0)
    assert "eSpeak · German" in voice_groups(page)
    choice.select_option("espeak:de")
    wait_until(lambda: session.voice == "espeak:de")


def test_a_voice_that_is_not_there_any_more_is_shown_as_the_one_that_is_chosen(page: Page, session: Session) -> None:
    session.voice = "piper:gone"
    session.publish("session.updated", session=session.to_dict())
    page.get_by_text("Sound settings", exact=True).click()
    expect(page.get_by_label("It speaks with")).to_have_value("piper:gone")
    session.voice = "espeak:de"
    session.publish("session.updated", session=session.to_dict())
    expect(page.get_by_label("It speaks with")).to_have_value("espeak:de")
    expect(page.get_by_label("It speaks with").locator("option[value='espeak:fi']")).to_have_count(0)


def test_it_all_fits_on_a_phone(page: Page, session: Session) -> None:
    page.set_viewport_size(PHONE)
    epoch = session.say(TEXT + " ")
    session.publish("output_audio_buffer.started", epoch=epoch, by_client=False)
    session.publish("input_audio_buffer.speech_started", item_id="spk_1", t=1.0)
    expect(page.locator(".caption")).to_have_count(2)
    page.get_by_text("Sound settings", exact=True).click()
    expect(page.get_by_label("It speaks with")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
