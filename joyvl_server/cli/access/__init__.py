"""Commands for those who may call: keys and one-time links."""
