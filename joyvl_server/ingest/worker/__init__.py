"""What runs in a media worker: sources, decoding, encoding."""
