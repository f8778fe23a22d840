"""How well speech is spoken and understood, on the real path: server, Chromium, voices and models."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[3] / "tests")]  # the fake webcam and the server's process
