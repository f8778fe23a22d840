"""Voice in: from the sound of one speech to its words."""
