"""Alerts and hooks over HTTP."""
