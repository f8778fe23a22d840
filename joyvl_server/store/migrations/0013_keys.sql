-- Who may call. Only SHA-256 digests of keys, cookies and codes are kept. Times are Unix seconds (…_wall).

-- cameras: JSON list of what the key is for; empty: everything.
CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('ingest', 'viewer', 'operator', 'admin')),
  cameras TEXT NOT NULL,
  created_wall REAL NOT NULL,
  expires_wall REAL,
  used_wall REAL
);

-- Signed-in browsers. key: the id of the key it signed in with, or the caller's name of one of the settings; null: a
-- one-time link.
CREATE TABLE logins (
  digest TEXT PRIMARY KEY,
  key TEXT,
  created_wall REAL NOT NULL,
  until_wall REAL NOT NULL
);

-- One-time links.
CREATE TABLE login_codes (
  digest TEXT PRIMARY KEY,
  until_wall REAL NOT NULL
);
