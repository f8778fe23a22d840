"""Voice out and voice in: text to sound, sound to text. Each engine of either is a plug-in."""
