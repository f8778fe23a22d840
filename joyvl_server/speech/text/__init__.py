"""Text on its way to a voice: sentences, words that can be spoken, the language."""
