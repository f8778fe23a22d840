"""Writes the demo clip of joyvl-server as numbered JPEG pictures into the folder named on the command line."""

import sys
from pathlib import Path

import simplejpeg

from joyvl_server.ingest.demo import frames

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for number, picture in enumerate(frames()):
    (folder / f"{number:04d}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=90, colorspace="RGB"))
