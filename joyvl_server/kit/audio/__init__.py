"""Sound as all rings hand it on: mono, 16 bit."""
