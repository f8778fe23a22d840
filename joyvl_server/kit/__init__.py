"""Shared tools: one HTTP client, net policy, JPEG encoder, process supervisor, clock, and mask for secrets."""
