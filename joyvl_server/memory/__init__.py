"""What stays when frames are gone: memories are written, embedded, indexed, recalled and forgotten."""
