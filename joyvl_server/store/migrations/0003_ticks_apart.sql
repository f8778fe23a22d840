-- Ticks have a database of their own now, so that they can block nothing here. What lies here is moved there at the
-- next start (old_ticks.py), then dropped.
ALTER TABLE ticks RENAME TO old_ticks;
ALTER TABLE tick_sessions RENAME TO old_tick_sessions;
