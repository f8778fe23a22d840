"""The record: SQLite, one writer, numbered migrations. One file per kind of record."""
