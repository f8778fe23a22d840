-- Delegated tasks. Times are Unix seconds (…_wall) or stream seconds (t). Lists and objects are JSON text.
-- same_as: what two tasks have in common that are one (session, follow-up, words); priority: larger goes first.
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  session_id TEXT,
  camera_id TEXT,
  agent TEXT NOT NULL,
  status TEXT NOT NULL
    CHECK (status IN ('queued', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
  origin TEXT NOT NULL CHECK (origin IN ('model', 'user', 'client')),
  question TEXT NOT NULL,
  note TEXT NOT NULL,
  same_as TEXT NOT NULL,
  follows TEXT,
  priority INTEGER NOT NULL,
  timeout_s REAL NOT NULL,
  t REAL,
  created_wall REAL NOT NULL,
  started_wall REAL,
  ended_wall REAL,
  progress TEXT NOT NULL,
  permission TEXT,
  answer TEXT NOT NULL,
  digest TEXT NOT NULL,
  error TEXT,
  code TEXT,
  files TEXT NOT NULL,
  agent_session TEXT,
  delivered TEXT CHECK (delivered IN ('spoken', 'shown')),
  delivered_wall REAL
);
CREATE INDEX tasks_status ON tasks (status, priority DESC, id) WHERE status IN ('queued', 'running', 'waiting');
CREATE INDEX tasks_session ON tasks (session_id, id);
CREATE INDEX tasks_camera ON tasks (camera_id, id) WHERE camera_id IS NOT NULL;
CREATE INDEX tasks_undelivered ON tasks (session_id, id)
  WHERE delivered IS NULL AND status IN ('completed', 'failed');
CREATE INDEX tasks_same ON tasks (same_as, id);
