"""What the server knows for an answer of its own: what it was told, and when it did not watch."""
