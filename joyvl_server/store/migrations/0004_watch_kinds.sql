-- What a watch fires at, as a JSON list; null: the kinds that its words name.
ALTER TABLE watches ADD COLUMN kinds TEXT;
