-- Events have pictures and clips, can be kept, and are found by words. The files lie in DATA_DIR/timeline, see clips and
-- pictures there; clip_bytes and clip_before_s (seconds that the clip shows before the event) are those of a ready one.
ALTER TABLE events ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN picture INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN clip TEXT NOT NULL DEFAULT 'none';
ALTER TABLE events ADD COLUMN clip_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN clip_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN clip_before_s REAL;
CREATE INDEX events_kept ON events (id DESC) WHERE kept = 1;
CREATE INDEX events_clip ON events (clip) WHERE clip = 'recording';
-- What was said around an event.
CREATE INDEX events_said ON events (session_id, wall) WHERE type IN ('heard', 'query_asked');

-- Which watches an event is about.
CREATE TABLE event_watches (
  watch_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  PRIMARY KEY (watch_id, event_id)
) WITHOUT ROWID;

-- The words of an event, with a space round each Chinese, Japanese and Korean character, and marks to filter by: see
-- search.py. It has its own copy of the text, so that a row that never was in it can be deleted all the same.
CREATE VIRTUAL TABLE event_words USING fts5 (
  words, marks, tokenize = "porter unicode61 remove_diacritics 2", columnsize = 0
);

-- Events that are not in event_words yet: those with seq up to this. They are taken in while the server runs.
CREATE TABLE old_events (seq INTEGER NOT NULL);
INSERT INTO old_events SELECT max(seq) FROM events HAVING max(seq) IS NOT NULL;

-- seq may have gaps from now on, so how many events there are is counted.
CREATE TABLE event_count (n INTEGER NOT NULL);
INSERT INTO event_count SELECT count(*) FROM events;
CREATE TRIGGER events_inserted AFTER INSERT ON events BEGIN
  UPDATE event_count SET n = n + 1;
END;
CREATE TRIGGER events_deleted AFTER DELETE ON events BEGIN
  UPDATE event_count SET n = n - 1;
END;
