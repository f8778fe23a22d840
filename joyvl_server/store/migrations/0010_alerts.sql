-- Alerts, the hooks that are told of them, and the outbox. Times are Unix seconds (…_wall). Lists and objects are JSON.

CREATE TABLE hooks (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  options TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  events TEXT NOT NULL,
  cameras TEXT NOT NULL,
  watches TEXT NOT NULL,
  quiet_hours TEXT NOT NULL,
  hold INTEGER NOT NULL,
  cooldown_s REAL NOT NULL,
  group_s REAL NOT NULL,
  escalate_after_s REAL,
  escalates INTEGER NOT NULL,
  created_wall REAL NOT NULL,
  updated_wall REAL NOT NULL
);

-- revision: grows with each change of any alert, so that a client can ask for what has changed.
-- subject: what it is about, the same for events that repeat. watches: ids. told: next contacts that were told.
-- remind: hooks are told again when its snooze ends.
CREATE TABLE alerts (
  id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL UNIQUE,
  first_revision INTEGER NOT NULL,
  kind TEXT NOT NULL,
  created_wall REAL NOT NULL,
  wall REAL NOT NULL,
  title TEXT NOT NULL,
  text TEXT NOT NULL,
  session_id TEXT,
  camera_id TEXT,
  camera TEXT NOT NULL,
  event_id TEXT,
  watches TEXT NOT NULL,
  subject TEXT NOT NULL,
  count INTEGER NOT NULL,
  last_wall REAL NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'snoozed', 'closed')),
  acknowledged_wall REAL,
  acknowledged_by TEXT,
  snoozed_until REAL,
  snooze_s REAL NOT NULL DEFAULT 0,
  remind INTEGER NOT NULL DEFAULT 0,
  told INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX alerts_subject ON alerts (subject, id DESC);
CREATE INDEX alerts_state ON alerts (state, id DESC);
CREATE INDEX alerts_camera ON alerts (camera_id, id DESC) WHERE camera_id IS NOT NULL;
CREATE INDEX alerts_event ON alerts (event_id) WHERE event_id IS NOT NULL;

CREATE TABLE alert_revision (number INTEGER NOT NULL);
INSERT INTO alert_revision VALUES (0);

-- Quiet about one camera or watch. scope: 'camera' or 'watch'.
CREATE TABLE snoozes (
  scope TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  since_wall REAL NOT NULL,
  until_wall REAL NOT NULL,
  PRIMARY KEY (scope, subject_id)
);

-- The outbox: one row for each message to one hook, sent in the order of seq. A test has no alert.
CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  hook_id TEXT NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
  alert_id TEXT REFERENCES alerts (id) ON DELETE CASCADE,
  reason TEXT NOT NULL,
  state TEXT NOT NULL
    CHECK (state IN ('waiting', 'later', 'sent', 'dead', 'refused', 'skipped', 'cancelled')),
  created_wall REAL NOT NULL,
  due_wall REAL,
  wait_s REAL NOT NULL,
  attempts INTEGER NOT NULL,
  last_wall REAL,
  status INTEGER,
  error TEXT,
  took_s REAL
);
CREATE INDEX deliveries_waiting ON deliveries (hook_id, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_later ON deliveries (due_wall) WHERE state = 'later';
CREATE INDEX deliveries_alert ON deliveries (alert_id, hook_id) WHERE alert_id IS NOT NULL;
CREATE INDEX deliveries_hook ON deliveries (hook_id, seq DESC);
