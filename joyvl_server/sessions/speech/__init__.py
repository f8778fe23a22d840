"""What a session says aloud, and what it hears."""
