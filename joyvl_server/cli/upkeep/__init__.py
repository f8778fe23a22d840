"""Commands that keep a server well: backups, settings read again."""
