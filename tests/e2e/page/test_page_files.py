"""The page's files: nothing from elsewhere, and the libraries are the ones that are written down."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path

WEB = Path(__file__).resolve().parents[3] / "web"
OURS = [p for p in WEB.rglob("*.js") if "vendor" not in p.parts]
FILES = 15
"""of a folder"""
IMPORTS = {
    "text": set(),
    "net": set(),
    "state": {"net", "text"},
    "call": {"net", "text"},
    "speech": {"call", "net", "state", "text"},
}
"""which folders' modules these may import, besides their own and `html.js`"""


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


def test_folders_have_few_files() -> None:
    counts = Counter(str(p.parent.relative_to(WEB)) for p in WEB.rglob("*") if p.is_file())
    assert {folder: count for folder, count in counts.items() if count > FILES} == {}


def test_only_views_and_main_import_views_and_what_all_views_share_imports_no_other() -> None:
    wrong = []
    for module in OURS:
        folder = str(module.parent.relative_to(WEB))
        for target in re.findall(r'^(?:import|export)\b[^"();]*"([^"]+)"', module.read_text(), re.MULTILINE):
            imported = str((module.parent / target).resolve().relative_to(WEB))
            of = imported.rpartition("/")[0]
            if folder in IMPORTS:
                allowed = of in IMPORTS[folder] | {folder} or imported == "html.js"
            elif folder == "views/common":
                allowed = not of.startswith("views") or of == folder
            else:
                allowed = not of.startswith("vendor") or module.name == "html.js"
            if not allowed:
                wrong.append(f"{module.relative_to(WEB)}: {imported}")
    assert wrong == []


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
