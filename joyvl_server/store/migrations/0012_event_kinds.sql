-- What kind of happening a remark is about, found without a look at each event.
ALTER TABLE events ADD COLUMN kind TEXT AS (CASE WHEN json_valid(data) THEN json_extract(data, '$.kind') END) VIRTUAL;
-- The columns after id let other filters be judged in the index.
CREATE INDEX events_kind ON events (kind, id DESC, camera_id, session_id, type, wall) WHERE kind IS NOT NULL;
