"""Commands of speech: voices, and models that understand it."""
