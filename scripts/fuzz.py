#!/usr/bin/env python
"""Asks the API what its OpenAPI document allows, and what it does not, for as long as is wanted.

    .venv/bin/python scripts/fuzz.py --seconds 1800 --corpus

It contacts no address. It ends with 1 where an answer was one of our own errors (500), held a stored secret or never
came; each such request is printed as it stands in the corpus. `--corpus` keeps a request for each kind
of answer in tests/api/fuzz/corpus.jsonl, which the tests ask first.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--corpus", action="store_true", help="keep what was new")
    chosen = parser.parse_args()

    from fakes.fuzzing.fuzzer import fuzz, read_corpus, write_corpus
    from joyvl_server.kit import logs

    logs.configure("error", "auto")
    began = time.monotonic()
    found = fuzz(chosen.seconds, chosen.seed, read_corpus())
    print(f"seed {chosen.seed}: {found.asked} requests in {time.monotonic() - began:.0f} s, {dict(found.statuses)}")
    print(f"{len(found.corpus)} kinds of answers, {len(found.broken)} of them broken")
    if chosen.corpus:
        write_corpus(list(found.corpus.values()))
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
