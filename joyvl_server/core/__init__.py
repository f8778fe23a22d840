"""The deciding part: pure, without I/O, asyncio, wall clock or randomness of its own."""
