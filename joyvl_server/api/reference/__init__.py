"""The session API of the interaction model's reference server, for its clients: one request is one tick."""
