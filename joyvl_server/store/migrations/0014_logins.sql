-- From where a browser signed in (empty: not known), and when it was last used, in Unix seconds.
ALTER TABLE logins ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN used_wall REAL;
