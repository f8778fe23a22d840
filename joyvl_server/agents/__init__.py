"""Agents that work on delegated questions."""
