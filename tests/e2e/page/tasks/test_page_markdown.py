"""Answers of agents as the page draws them: Markdown of whoever wrote it becomes text and a few elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from fakes.page.site import page_site
from fakes.page.world import World

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """One for all: what is drawn before is taken away."""
    with page_site(World()) as site:
        page = browser.new_page()
        page.goto(f"{site.base}/#/cameras")
        yield page
        page.close()


DRAW = """async (text) => {
    const at = (path) => new URL(path, document.querySelector('script[type=module]').src).href;
    const { html, render } = await import(at('html.js'));
    const { Markdown } = await import(at('views/common/markdown.js'));
    const place = document.createElement('div');
    place.id = 'drawn';
    document.getElementById('drawn')?.remove();
    document.body.append(place);
    const began = performance.now();
    render(html`<${Markdown} text=${text} />`, place);
    const elements = [...place.querySelectorAll('.markdown *')];
    return {
        html: place.querySelector('.markdown').innerHTML,
        text: place.textContent,
        took: performance.now() - began,
        count: elements.length,
        tags: [...new Set(elements.map((e) => e.localName))].sort(),
        attributes: [...new Set(elements.flatMap((e) => e.getAttributeNames()))].sort(),
        links: elements.filter((e) => e.localName === 'a').map((e) => e.getAttribute('href')),
        hit: window.hit ?? null,
    };
}"""
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong", "ul",
    "div", "table", "thead", "tbody", "tr", "th", "td", "span",
}  # fmt: skip
ATTRIBUTES = {
    "aria-label", "class", "data-language", "dir", "href", "rel", "role", "scope", "start", "tabindex", "target",
    "title",
}  # fmt: skip


def draw(page: Page, text: str) -> dict[str, Any]:
    drawn: dict[str, Any] = page.evaluate(DRAW, text)
    assert set(drawn["tags"]) <= TAGS
    assert set(drawn["attributes"]) <= ATTRIBUTES
    assert drawn["hit"] is None
    return drawn


LINK = 'target="_blank" rel="noopener noreferrer nofollow"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One\ntwo\n\nthree", "<p>One\ntwo</p><p>three</p>"),
        ("a  \nb\\\nc<br/>d", "<p>a<br>b<br>c<br>d</p>"),
        (
            "**a** *b* __c__ _d_ ~~e~~",
            "<p><strong>a</strong> <em>b</em> <strong>c</strong> <em>d</em> <del>e</del></p>",
        ),
        ("***a*** **b *c***", "<p><strong><em>a</em></strong> <strong>b <em>c</em></strong></p>"),
        ("snake_case_name 2 * 3 * 4 ~5", "<p>snake_case_name 2 * 3 * 4 ~5</p>"),
        ("**never closed, [nor this", "<p>**never closed, [nor this</p>"),
        (r"\*not\* \`code\`", "<p>*not* `code`</p>"),
        ("`a < b` ``c ` d``", '<p><code dir="ltr">a &lt; b</code> <code dir="ltr">c ` d</code></p>'),
        ("# One\n### Two ##\n####### Seven", "<h4>One</h4><h6>Two</h6><p>####### Seven</p>"),
        ("- a\n- b\n  - c\n\n  d", "<ul><li>a</li><li>b<ul><li>c</li></ul><p>d</p></li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("1. a\n   ```\n   b\n   ```", '<ol start="1"><li>a<pre tabindex="0"><code dir="ltr">b</code></pre></li></ol>'),
        (
            "- [x] a\n- [ ] b",
            '<ul><li class="check-item"><span class="checked" role="img" aria-label="done">☑</span>a</li>'
            '<li class="check-item"><span class="checked" role="img" aria-label="not done">☐</span>b</li></ul>',
        ),
        ("> a\n> > b", "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote>"),
        ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
        (
            "```py\nif a < b:\n    pass\n```",
            '<pre tabindex="0" data-language="py"><code dir="ltr">if a &lt; b:\n    pass</code></pre>',
        ),
        ("```\nbroken off", '<pre tabindex="0"><code dir="ltr">broken off</code></pre>'),
        (
            "[a *b*](https://x.example/p_(q) 'why')",
            f'<p><a href="https://x.example/p_(q)" title="https://x.example/p_(q)" {LINK}>a <em>b</em></a></p>',
        ),
        (
            "See https://x.example/a_b_c, ok.",
            f'<p>See <a href="https://x.example/a_b_c" title="https://x.example/a_b_c" {LINK}>https://x.example/a_b_c</a>'
            ", ok.</p>",
        ),
        (
            "| a | b |\n|---|--:|\n| 1 \\| 2 | *3* |\n| 4 |",
            '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table><thead><tr>'
            '<th scope="col">a</th><th scope="col" class="right">b</th></tr></thead><tbody><tr><td>1 | 2</td>'
            '<td class="right"><em>3</em></td></tr><tr><td>4</td><td class="right"></td></tr></tbody></table></div>',
        ),
        ("", ""),
    ],
)
def test_what_agents_write_is_drawn(page: Page, text: str, html: str) -> None:
    assert draw(page, text)["html"] == html


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hit = 1</script>",
        "<img src=x onerror='window.hit = 1'>",
        "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
        "<a href='javascript:window.hit=1'>a</a>",
        "<style>body { display: none }</style>",
        "<svg onload='window.hit=1'>",
        "<!-- <script>window.hit=1</script> -->",
        "&lt;script&gt;window.hit=1&lt;/script&gt;",
        "```<script>window.hit=1</script>\n<script>window.hit=1</script>\n```",
        "| <script>window.hit=1</script> | <img src=x onerror=window.hit=1> |\n|---|---|\n| <b>c</b> | d |",
        '# <h1 onclick="window.hit=1">x</h1>',
    ],
)
def test_html_is_text(page: Page, text: str) -> None:
    drawn = draw(page, text)
    assert {"script", "img", "iframe", "style", "svg", "h1", "b"} & set(drawn["tags"]) == set()
    assert drawn["links"] == []
    for part in ("<script>", "<img", "<iframe", "<style>", "<svg", "<a href", "<!--", "&lt;script", "<h1"):
        if part in text:
            assert part in drawn["text"], "it can be read"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:window.hit=1",
        "JaVaScRiPt:window.hit=1",
        "java\tscript:window.hit=1",
        "\x01javascript:window.hit=1",
        "javascript&#58;window.hit=1",
        "data:text/html,<script>window.hit=1</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://x.example/1",
        "//x.example/a",
        "/v1/tasks",
        "#/tasks",
        "https://",
        "ftp://x.example/a",
    ],
)
@pytest.mark.parametrize("form", ["[word]({})", "[word](<{}>)", "![word]({})", "<{}>", "[word]({} 'title')"])
def test_links_lead_to_the_web_or_nowhere(page: Page, address: str, form: str) -> None:
    text = form.format(address)
    drawn = draw(page, text)
    # An address of the web within another one is a link of its own.
    assert [link for link in drawn["links"] if not link.startswith("https://x.example/")] == []
    assert "word" in drawn["text"] or "word" not in text


def test_a_link_in_a_link_and_a_picture_are_plain(page: Page) -> None:
    drawn = draw(page, "[a [b](https://one.example) c](https://two.example) ![d](https://three.example/d.png)")
    assert drawn["links"] == ["https://two.example/", "https://three.example/d.png"]
    assert "Image: d" in drawn["text"]
    assert draw(page, "[![d](https://a.example/d.png)](https://b.example)")["links"] == ["https://b.example/"]


HUGE = 1_000_000
UNITS = [
    "a", "a\n", "[", "![", "](", "[a](", "[a](http://b) ", "*", "**a ", "*_", "_a_", "`", "`a``b```c", "<", "<h", "http://",
    "http://a)", ")", "~~x", "\n", "- a\n", "  - a\n", "> ", "> a\n", "| a | b |\n", "|-\n|a\n", "# a\n", "```\n",
    "\\", "- a\n\n", "a  \n", "\\|", "- ", "1. ", "<a@b", "[a](b \"",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_anything_is_bounded(page: Page, unit: str) -> None:
    drawn = draw(page, unit * (HUGE // len(unit)))
    assert drawn["count"] <= 25_000
    assert len(drawn["text"]) <= 210_000
    assert "too long to be shown" in drawn["text"]
    assert drawn["took"] < 20_000, "in one pass; a second on any machine at rest"


def test_a_huge_table_is_cut(page: Page) -> None:
    rows = "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + ("|" + "b|" * 300 + "\n") * 300
    drawn = draw(page, rows)
    assert page.locator("#drawn tr").count() <= 201
    assert page.locator("#drawn th").all_inner_texts() == ["a"] * 30
    assert "too long to be shown" in drawn["text"]


def test_nesting_has_an_end(page: Page) -> None:
    for text in (
        ">" * 5000 + " a",
        "\n".join(" " * 2 * n + "- a" for n in range(500)),
        "*_" * 3000 + "a" + "_*" * 3000,
    ):
        draw(page, text)
        depth = page.evaluate(
            "() => { let most = 0; for (const e of document.querySelectorAll('#drawn *')) {"
            " let n = 0; for (let p = e; p; p = p.parentElement) n += 1; most = Math.max(most, n); } return most; }"
        )
        assert depth < 60
