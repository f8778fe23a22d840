-- Every second of every session, in a file of its own: ticks.db. Written most, needed least.

-- A short number for each session that has ticks.
CREATE TABLE tick_sessions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL UNIQUE
);

-- A row is a span of ticks of one session; first and last are ids of ticks, the blobs as tick_records.py packs them.
-- fresh takes what each commit brings. It has no index and only grows at its end, so that a commit touches few pages.
CREATE TABLE fresh (
  seq INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  scores BLOB NOT NULL,
  details BLOB NOT NULL
);

-- Every some minutes all of fresh is packed into longer spans.
CREATE TABLE spans (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  session INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  scores BLOB NOT NULL
);
CREATE INDEX spans_session ON spans (session, last, first);

-- seq is the span's. Deleted earlier than it.
CREATE TABLE details (
  seq INTEGER PRIMARY KEY,
  last INTEGER NOT NULL,
  data BLOB NOT NULL
);

-- How far the ticks that joyvl.db once held are moved over.
CREATE TABLE moved (
  seq INTEGER NOT NULL
);
INSERT INTO moved VALUES (0);
