"""The page's files: nothing from elsewhere, and the libraries are the ones that are written down."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

WEB = Path(__file__).resolve().parents[3] / "web"
OURS = [p for p in WEB.rglob("*.js") if "vendor" not in p.parts]


def test_vendored_files_are_the_ones_named_with_their_licences() -> None:
    named = dict(
        re.findall(r"\| `(\S+\.js)` \| `\S+` \| `([0-9a-f]{64})` \|", (WEB / "vendor" / "README.md").read_text())
    )
    there = {
        str(p.relative_to(WEB / "vendor")): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in WEB.glob("vendor/*/*.js")
    }
    assert named == there
    for folder in {p.parent for p in WEB.glob("vendor/*/*.js")}:
        assert (folder / "LICENSE").stat().st_size > 500
        assert re.fullmatch(r"\d+\.\d+\.\d+\n", (folder / "VERSION").read_text())


def test_modules_import_each_other_by_relative_paths_that_exist() -> None:
    modules = list(WEB.rglob("*.js"))
    assert len(modules) > 20
    for module in modules:
        for target in re.findall(r'(?:\bfrom|\bimport)\s*\(?"([^"]+)"', module.read_text()):
            assert target.startswith("."), f"{module}: {target}"
            assert (module.parent / target).resolve().is_file(), f"{module}: {target}"


def test_html_and_styles_name_no_other_host_and_hold_nothing_inline() -> None:
    for path in [WEB / "index.html", *WEB.glob("css/*.css")]:
        assert not re.search(r"https?:|//\w", path.read_text().replace("/* ", "")), path
    html = (WEB / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    for link in re.findall(r'(?:src|href)="/assets/([^"]+)"', html):
        assert (WEB / link).is_file(), link


def test_our_files_stay_small() -> None:
    for path in [*OURS, *WEB.glob("css/*.css")]:
        assert len(path.read_text().splitlines()) <= 300, path
