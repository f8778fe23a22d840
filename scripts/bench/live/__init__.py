"""What a bench with real processes stands on: a whole server, an engine that answers at once, a camera."""
