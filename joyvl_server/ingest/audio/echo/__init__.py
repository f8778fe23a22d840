"""The microphone of a call without what we play: is an echo there, and what takes it out."""
