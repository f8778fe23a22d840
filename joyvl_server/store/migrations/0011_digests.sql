-- A day of a camera in a few words, with the events that it rests on. day: YYYY-MM-DD in the server's zone. text: ''
-- until an engine has written one; counts: JSON. done: the day is over, nothing is added any more.
CREATE TABLE digests (
  camera_id TEXT NOT NULL,
  day TEXT NOT NULL,
  text TEXT NOT NULL,
  counts TEXT NOT NULL,
  event_ids TEXT NOT NULL,
  source TEXT NOT NULL,
  done INTEGER NOT NULL,
  written_wall REAL NOT NULL,
  PRIMARY KEY (camera_id, day)
) WITHOUT ROWID;

-- What was to be forgotten, written before anything is deleted: what a kill interrupts is finished at the next start.
-- scope: JSON, ids alone, no words; empty when it is done. The other columns say which later writes are of that past
-- (null: any) and are not taken any more: an account of an old time may be written later. kind: of memories, null: any.
CREATE TABLE erasures (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  camera_id TEXT,
  session_id TEXT,
  since REAL NOT NULL,
  until REAL NOT NULL,
  kind TEXT,
  at_wall REAL NOT NULL,
  done INTEGER NOT NULL
);
CREATE INDEX erasures_until ON erasures (until);

CREATE TRIGGER memories_of_forgotten_past BEFORE INSERT ON memories WHEN NEW.kind <> 'fact' AND EXISTS (
  SELECT 1 FROM erasures e WHERE e.until > NEW.wall AND e.since <= NEW.until_wall
    AND (e.camera_id IS NULL OR e.camera_id = NEW.camera_id) AND (e.session_id IS NULL OR e.session_id = NEW.session_id)
    AND (e.kind IS NULL OR NEW.kind IN ('summary', 'block'))
) BEGIN
  SELECT RAISE(IGNORE);
END;

CREATE TRIGGER events_of_forgotten_past BEFORE INSERT ON events WHEN NEW.type IN (
  'spoke', 'delegated', 'watch_fired', 'heard', 'query_asked', 'query_closed', 'task', 'played', 'cut_off'
) AND EXISTS (
  SELECT 1 FROM erasures e WHERE e.kind IS NULL AND e.until > NEW.wall AND e.since <= NEW.wall
    AND (e.camera_id IS NULL OR e.camera_id = NEW.camera_id) AND (e.session_id IS NULL OR e.session_id = NEW.session_id)
) BEGIN
  SELECT RAISE(IGNORE);
END;
