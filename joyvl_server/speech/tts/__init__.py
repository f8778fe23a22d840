"""Voices: each engine is a plug-in of `joyvl.tts`."""
