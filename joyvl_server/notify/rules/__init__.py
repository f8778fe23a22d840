"""What becomes of an alert: who is told, when, and what keeps it back. Writes it down, always whole."""
