-- What agents did, line by line, and what they were allowed. at_wall: Unix seconds.
CREATE TABLE task_log (
  id INTEGER PRIMARY KEY,
  task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  at_wall REAL NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX task_log_task ON task_log (task_id, id);
