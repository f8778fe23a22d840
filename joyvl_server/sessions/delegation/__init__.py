"""Handing questions of a session over, and what comes back from people about it."""
