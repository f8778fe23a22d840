"""Tells people: alerts, the rules for them, and the hooks they go to."""
