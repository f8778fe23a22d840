"""Alerts, the hooks that are told of them, and the outbox between the two."""
