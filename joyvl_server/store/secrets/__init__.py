"""Secrets at rest: the file with keys, the box that seals with them, the columns that are sealed."""
