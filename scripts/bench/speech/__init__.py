"""How well speech is spoken and understood: sentences, and how many of their words were mistaken."""
