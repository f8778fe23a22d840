"""Who may call: keys, signed-in browsers, one-time links. Of every secret only the digest is kept."""
