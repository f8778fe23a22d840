"""Clips: the packets of a source as they came, and MP4 files cut out of them."""
