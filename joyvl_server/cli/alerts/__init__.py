"""Commands for alerts."""
