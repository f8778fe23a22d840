"""Sources: from a URL or a call to the newest frame. Decoding happens in media workers, never in main."""
