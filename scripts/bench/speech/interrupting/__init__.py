"""A call in which the server always speaks, and what becomes of it when somebody else does."""
