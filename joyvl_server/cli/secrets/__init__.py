"""Commands for stored passwords and their key."""
