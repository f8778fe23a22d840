"""Processes, beyond the children that one has."""
