"""Asks a database of known faults (OSV) about every Python package of the environment it runs in.

    python scripts/audit_dependencies.py

Ends with 0 where none is known, with 1 where one is, with 77 where the database cannot be reached: then nothing was
checked. What was looked at and does not concern us stands in scripts/audit-accepted.txt, an id and a reason a line.
JOYVL_AUDIT_URL names another database with OSV's `querybatch`.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from importlib.metadata import distributions
from pathlib import Path

URL = "https://api.osv.dev/v1/querybatch"
ACCEPTED = Path(__file__).with_name("audit-accepted.txt")
FINE, FAULTS, NOT_CHECKED = 0, 1, 77
TIMEOUT_S = 30.0
AT_ONCE = 500
MAX_BYTES = 20_000_000
OURS = "joyvl-server"


def installed() -> list[tuple[str, str]]:
    """(name, version) of all packages, sorted."""
    found = {(one.metadata["Name"], one.version) for one in distributions() if one.metadata["Name"]}
    return sorted(pair for pair in found if pair[0] != OURS)


def accepted(text: str) -> set[str]:
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return {words[0] for words in lines if words}


def known_faults(packages: list[tuple[str, str]], url: str) -> dict[tuple[str, str], list[str]]:
    """Ids of known faults for each package that has some. Raises `OSError`, `ValueError` for an answer that is none."""
    found: dict[tuple[str, str], list[str]] = {}
    for start in range(0, len(packages), AT_ONCE):
        some = packages[start : start + AT_ONCE]
        queries = [{"package": {"name": n, "ecosystem": "PyPI"}, "version": v} for n, v in some]
        request = urllib.request.Request(
            url, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            results = json.loads(answer.read(MAX_BYTES))["results"]
        if len(results) != len(some):
            raise ValueError("the answer is about other packages")
        for package, result in zip(some, results, strict=True):
            if ids := [fault["id"] for fault in (result or {}).get("vulns", ())]:
                found[package] = ids
    return found


def main() -> int:
    url = os.environ.get("JOYVL_AUDIT_URL") or URL
    packages = installed()
    try:
        faults = known_faults(packages, url)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"Not checked: {url} gives no answer ({error}).")
        return NOT_CHECKED
    known = accepted(ACCEPTED.read_text("utf-8"))
    new = {package: ids for package, all_ids in faults.items() if (ids := [one for one in all_ids if one not in known])}
    for (name, version), ids in new.items():
        print(f"{name} {version}: {', '.join(f'https://osv.dev/{one}' for one in ids)}")
    print(f"{len(packages)} packages, {len(new)} with known faults that are not accepted.")
    return FAULTS if new else FINE


if __name__ == "__main__":
    sys.exit(main())
