"""SQLite as the store uses it: one file, one writer, a few readers, numbered migrations."""
