/**
 * The journal's tables, and upgrades from earlier versions.
 * @module
 */

/** Increase it with every change of the tables, and add a step to `UPGRADES`. */
export const SCHEMA_VERSION = 3

const SESSION = `
  CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL, rate_hz REAL NOT NULL, leads TEXT NOT NULL,
    closed_through INTEGER NOT NULL, closed_sequence INTEGER NOT NULL,
    touched_at_ms INTEGER NOT NULL,
    UNIQUE (tenant, device, name)
  ) STRICT;`

const FRAME = `
  CREATE TABLE frame (
    session INTEGER NOT NULL, sequence INTEGER NOT NULL,
    first_sample INTEGER NOT NULL, end_sample INTEGER NOT NULL, is_last INTEGER NOT NULL,
    heart_rate_bpm REAL, samples BLOB NOT NULL,
    PRIMARY KEY (session, first_sample)
  ) STRICT;`

const WINDOW = `
  CREATE TABLE window (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, first_sample INTEGER NOT NULL, samples INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX window_of_session ON window (session, first_sample);`

const REJECT = `
  CREATE TABLE reject (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, content_type TEXT, code TEXT NOT NULL, field TEXT, payload BLOB NOT NULL
  ) STRICT;`

/**
 * From version 1 to 2: windows have versions, and frames have an order of arrival. A window version contains the frames up to arrival
 * `through`, which had arrived when it was closed. `hole`: windows with missing samples. `expired_through`: samples before it can no longer
 * complete a window. `held_bytes`: size of a session's frames, maintained by triggers.
 */
const TO_2 = `
  ALTER TABLE session ADD COLUMN expired_through INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE session ADD COLUMN held_bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE frame ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE window ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE window ADD COLUMN is_short INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE window ADD COLUMN through INTEGER NOT NULL DEFAULT 9007199254740991;
  CREATE TABLE hole (
    session INTEGER NOT NULL, first_sample INTEGER NOT NULL, end_sample INTEGER NOT NULL,
    version INTEGER NOT NULL, is_reopened INTEGER NOT NULL, noted_at_ms INTEGER NOT NULL,
    PRIMARY KEY (session, first_sample)
  ) STRICT;
  CREATE INDEX hole_by_age ON hole (noted_at_ms);
  CREATE INDEX session_by_age ON session (touched_at_ms);
  UPDATE session SET held_bytes =
    (SELECT coalesce(sum(length(samples)), 0) FROM frame WHERE frame.session = session.id);
  CREATE TRIGGER frame_added AFTER INSERT ON frame BEGIN
    UPDATE session SET held_bytes = held_bytes + length(new.samples) WHERE id = new.session;
  END;
  CREATE TRIGGER frame_gone AFTER DELETE ON frame BEGIN
    UPDATE session SET held_bytes = held_bytes - length(old.samples) WHERE id = old.session;
  END;`

/** From version 2 to 3: `first_checksum` of a session's first frame, by which a restarted device that uses its name again is recognised. */
const TO_3 = 'ALTER TABLE session ADD COLUMN first_checksum INTEGER;'

const FIRST = SESSION + FRAME + WINDOW + REJECT

/** Upgrades by the version that each starts from; 0 is an empty file. */
export const UPGRADES: readonly string[] = [FIRST, TO_2, TO_3]
