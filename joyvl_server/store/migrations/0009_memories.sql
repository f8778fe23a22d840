-- What stays when frames are gone. Times are Unix seconds (…wall) or stream seconds (t). day: days since 1970 in UTC.
CREATE TABLE memories (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  collection TEXT NOT NULL,
  camera_id TEXT,
  session_id TEXT,
  kind TEXT NOT NULL,
  text TEXT NOT NULL,
  t REAL,
  wall REAL NOT NULL,
  until_wall REAL NOT NULL,
  day INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  event_id TEXT,
  source TEXT NOT NULL,
  created_wall REAL NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX memories_time ON memories (wall, until_wall);
CREATE INDEX memories_collection ON memories (collection, wall, until_wall);
CREATE INDEX memories_camera ON memories (camera_id, id) WHERE camera_id IS NOT NULL;
CREATE INDEX memories_session ON memories (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX memories_event ON memories (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX memories_kept ON memories (kept, kind, id) WHERE kept;

-- rowid: memories.seq. What is in it are stems of words and single Chinese characters; place: a token of the collection.
CREATE VIRTUAL TABLE memory_words USING fts5 (place, text, tokenize = 'unicode61');

-- What each text means, as an embedder says: half-precision floats. From these the index can be made again.
CREATE TABLE memory_vectors (
  embedder TEXT NOT NULL,
  seq INTEGER NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY (embedder, seq)
) WITHOUT ROWID;

-- Which of them the index has.
CREATE TABLE memory_indexed (
  embedder TEXT NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (embedder, seq)
) WITHOUT ROWID;

-- What the index still has and must forget.
CREATE TABLE memory_removals (
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (collection, id)
) WITHOUT ROWID;

-- embedder: the one in use.
CREATE TABLE memory_state (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
