"""Upkeep of a running server: settings that are read again, the level of its log."""
