-- Times are Unix seconds (…_wall) or stream seconds (t). Lists and objects are JSON text.

CREATE TABLE cameras (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  loop INTEGER NOT NULL,
  speed REAL NOT NULL,
  engine TEXT,
  threshold REAL,
  zones TEXT NOT NULL,
  session_id TEXT NOT NULL,
  created_wall REAL NOT NULL,
  updated_wall REAL NOT NULL
);

CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('camera', 'call', 'file')),
  name TEXT NOT NULL,
  camera_id TEXT,
  engine TEXT NOT NULL,
  owner TEXT,
  created_wall REAL NOT NULL,
  ended_wall REAL,
  end_reason TEXT
);
CREATE INDEX sessions_ended ON sessions (ended_wall) WHERE ended_wall IS NOT NULL;

CREATE TABLE watches (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  text TEXT NOT NULL,
  zones TEXT NOT NULL,
  threshold REAL,
  paused INTEGER NOT NULL,
  created_wall REAL NOT NULL
);
CREATE INDEX watches_session ON watches (session_id, id);

-- seq has no gaps but at its start, so how many events there are is known without counting them.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL,
  camera_id TEXT,
  type TEXT NOT NULL,
  t REAL NOT NULL,
  wall REAL NOT NULL,
  text TEXT NOT NULL,
  data TEXT NOT NULL
);
-- The columns after id let other filters be judged in the index, without a look at each row.
CREATE INDEX events_session ON events (session_id, id DESC, wall, type);
CREATE INDEX events_camera ON events (camera_id, id DESC, wall, type) WHERE camera_id IS NOT NULL;
CREATE INDEX events_type ON events (type, id DESC, wall);
CREATE INDEX events_wall ON events (wall, id);

CREATE TABLE idempotency (
  key TEXT NOT NULL,
  route TEXT NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  body BLOB NOT NULL,
  body_hash TEXT NOT NULL,
  created_wall REAL NOT NULL,
  PRIMARY KEY (key, route)
);
CREATE INDEX idempotency_created ON idempotency (created_wall);
