"""Sound as all rooms hand it on: mono, 16 bit."""
