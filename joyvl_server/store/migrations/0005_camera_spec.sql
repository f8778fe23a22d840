-- A camera's own session settings are one JSON object, so that a new setting needs no new column. What the object does
-- not name is the server's setting. Numbers are written with 17 digits: they come back as they were.
ALTER TABLE cameras ADD COLUMN spec TEXT NOT NULL DEFAULT '{}';
UPDATE cameras SET spec = json_patch('{}', json_object(
  'engine', engine,
  'threshold', json(printf('%!.17g', threshold)),
  'fidelity', fidelity,
  'frames_per_tick', frames_per_tick
)) WHERE threshold IS NOT NULL;
UPDATE cameras SET spec = json_patch('{}', json_object(
  'engine', engine,
  'fidelity', fidelity,
  'frames_per_tick', frames_per_tick
)) WHERE threshold IS NULL;
UPDATE cameras SET spec = json_set(spec, '$.zones', json((
  SELECT json_group_array(json_object(
    'name', json_extract(zone.value, '$[0]'),
    'points', json(json_extract(zone.value, '$[1]'))
  )) FROM json_each(cameras.zones) AS zone
))) WHERE json_valid(zones) AND json_type(zones) = 'array' AND json_array_length(zones) > 0
  AND NOT EXISTS (SELECT 1 FROM json_each(cameras.zones) AS zone
    WHERE zone.type <> 'array' OR json_type(zone.value, '$[1]') NOT IN ('array', 'null'));
-- Zones that cannot be read are kept as they are: the server tells them, and opens the camera without zones.
UPDATE cameras SET spec = json_set(spec, '$.zones', zones)
  WHERE zones <> '[]' AND json_extract(spec, '$.zones') IS NULL;
ALTER TABLE cameras DROP COLUMN engine;
ALTER TABLE cameras DROP COLUMN threshold;
ALTER TABLE cameras DROP COLUMN zones;
ALTER TABLE cameras DROP COLUMN fidelity;
ALTER TABLE cameras DROP COLUMN frames_per_tick;
CREATE INDEX cameras_url ON cameras (url);
