"""The timeline's files, and the stream of its events."""
