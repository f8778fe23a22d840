-- What a camera's frames may cost; null: the server's setting.
ALTER TABLE cameras ADD COLUMN fidelity TEXT;
ALTER TABLE cameras ADD COLUMN frames_per_tick INTEGER;

-- The sentence a watch was made from, where it was made from one.
ALTER TABLE watches ADD COLUMN query_id TEXT;

-- A short number for each session that has ticks: its id would be a third of every row.
CREATE TABLE tick_sessions (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL UNIQUE
);

-- Every second of every session. seq has no gaps but at its start, as with events. id: microseconds of the moment it was
-- decided, unique in its session. watches is a JSON list; more a JSON object of what only few ticks have; times in ms.
CREATE TABLE ticks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  session INTEGER NOT NULL,
  id INTEGER NOT NULL,
  t REAL NOT NULL,
  wall REAL NOT NULL,
  decision TEXT NOT NULL,
  look TEXT NOT NULL,
  score REAL,
  change REAL,
  skipped TEXT,
  suppressed TEXT,
  kind TEXT,
  query TEXT,
  epoch INTEGER,
  watches TEXT,
  frame_age_ms REAL,
  request_ms REAL,
  score_ms REAL,
  total_ms REAL,
  more TEXT
);
CREATE UNIQUE INDEX ticks_session ON ticks (session, id);
