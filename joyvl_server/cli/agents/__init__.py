"""Commands for agents that work on delegated questions."""
