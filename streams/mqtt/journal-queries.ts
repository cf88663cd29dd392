/**
 * All statements of the journal. None scans a whole table of frames, see `test/streams/mqtt/journal-queries.test.ts`.
 * @module
 */

export const FIND_SESSION = 'SELECT * FROM session WHERE tenant = ? AND device = ? AND name = ?'

export const ADD_SESSION = `
  INSERT INTO session (tenant, device, name, started_at_ms, rate_hz, leads, closed_through, closed_sequence, touched_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

export const ADVANCE_SESSION =
  'UPDATE session SET closed_through = ?, closed_sequence = ?, touched_at_ms = ? WHERE id = ?'

export const SAVE_FIRST = 'UPDATE session SET first_checksum = ? WHERE id = ?'

export const ADD_FRAME = `
  INSERT INTO frame (session, sequence, first_sample, end_sample, is_last, heart_rate_bpm, samples, arrival)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

export const LAST_ARRIVAL = `
  SELECT max(coalesce((SELECT max(arrival) FROM frame), 0),
             coalesce((SELECT max(through) FROM window WHERE through < 9007199254740991), 0)) AS arrival`

/** Frames that extend beyond what is closed; frames that start well before it cannot. */
export const OPEN_FRAMES =
  'SELECT * FROM frame WHERE session = :session AND first_sample > :from AND end_sample > :through'

export const FRAME_AT = 'SELECT * FROM frame WHERE session = ? AND first_sample = ?'

/** The nearest frame before or after a sample, without its samples. */
export const FRAME_BEFORE = `
  SELECT sequence, first_sample, end_sample, is_last FROM frame
  WHERE session = ? AND first_sample < ? ORDER BY first_sample DESC LIMIT 1`
export const FRAME_BEHIND = `
  SELECT sequence, first_sample, end_sample, is_last FROM frame
  WHERE session = ? AND first_sample > ? ORDER BY first_sample LIMIT 1`

/** Coverage of a window: its samples, and the frame that ends the session, if it is there. */
export const COVERAGE = `
  SELECT coalesce(sum(min(end_sample, :stop) - max(first_sample, :start)), 0) AS covered,
         coalesce(max(min(end_sample, :stop)), 0) AS reached, coalesce(max(is_last AND end_sample <= :stop), 0) AS is_ended
  FROM frame WHERE session = :session AND first_sample > :from AND first_sample < :stop AND end_sample > :start`

export const ADD_WINDOW = `
  INSERT INTO window (session, first_sample, samples, version, is_short, through) VALUES (?, ?, ?, ?, ?, ?)`

export const PENDING_WINDOWS = 'SELECT id FROM window ORDER BY id'

export const READ_WINDOW = `
  SELECT session.*, window.first_sample, window.samples AS window_samples, window.version, window.is_short, window.through
  FROM window JOIN session ON session.id = window.session WHERE window.id = ?`

export const FRAMES_OF_WINDOW = `
  SELECT first_sample, heart_rate_bpm, samples FROM frame
  WHERE session = :session AND first_sample > :from AND first_sample < :stop AND end_sample > :start AND arrival <= :through
  ORDER BY first_sample`

export const REMOVE_WINDOW = `
  DELETE FROM window WHERE id = ?
  RETURNING session, first_sample, samples, (SELECT rate_hz FROM session WHERE id = window.session) AS rate_hz`

/** Frames around a sample that nothing needs: no open window, no window that SQS lacks, and no window that can still be completed. */
export const FORGET_FRAMES = `
  DELETE FROM frame WHERE session = :session AND first_sample > :from AND first_sample < :to
    AND end_sample <= (SELECT closed_through FROM session WHERE id = :session)
    AND NOT EXISTS (SELECT 1 FROM window WHERE window.session = :session AND window.first_sample < frame.end_sample
      AND window.first_sample > frame.first_sample - :whole AND window.first_sample + window.samples > frame.first_sample)
    AND NOT EXISTS (SELECT 1 FROM hole WHERE hole.session = :session AND hole.first_sample < frame.end_sample
      AND hole.end_sample > frame.first_sample)`

export const HOLES_OF_SESSION = 'SELECT * FROM hole WHERE session = ? ORDER BY first_sample'

export const SAVE_HOLE = `
  INSERT INTO hole (session, first_sample, end_sample, version, is_reopened, noted_at_ms) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET end_sample = excluded.end_sample, version = excluded.version, is_reopened = excluded.is_reopened`

export const REMOVE_HOLE = 'DELETE FROM hole WHERE session = ? AND first_sample = ?'

export const OLDEST_HOLES =
  'SELECT session, first_sample, end_sample FROM hole WHERE noted_at_ms < ? ORDER BY noted_at_ms LIMIT ?'

export const EXPIRE_SESSION =
  'UPDATE session SET expired_through = max(expired_through, ?) WHERE id = ? RETURNING rate_hz'

export const ADD_REJECT = 'INSERT INTO reject (topic, content_type, code, field, payload) VALUES (?, ?, ?, ?, ?)'
export const PENDING_REJECTS = 'SELECT id FROM reject ORDER BY id'
export const READ_REJECT = 'SELECT * FROM reject WHERE id = ?'
export const REMOVE_REJECT = 'DELETE FROM reject WHERE id = ?'

/** Sessions with pending work: frames of an open window, or a window that late frames have reopened. Read once, at the start. */
export const OPEN_SESSIONS = `
  SELECT tenant, device, name FROM session
  WHERE EXISTS (SELECT 1 FROM frame WHERE frame.session = session.id AND end_sample > closed_through)
     OR EXISTS (SELECT 1 FROM hole WHERE hole.session = session.id AND is_reopened = 1)`

const HOLDS_NOTHING = `
  NOT EXISTS (SELECT 1 FROM frame WHERE frame.session = session.id)
  AND NOT EXISTS (SELECT 1 FROM window WHERE window.session = session.id)`

export const PRUNE_SESSIONS = `
  DELETE FROM session WHERE id IN
    (SELECT id FROM session WHERE touched_at_ms < ? AND ${HOLDS_NOTHING} ORDER BY touched_at_ms LIMIT ?)
  RETURNING id`

export const REMOVE_HOLES = 'DELETE FROM hole WHERE session = ?'

export const HOLDINGS =
  'SELECT tenant, device, sum(held_bytes) AS bytes FROM session GROUP BY tenant, device HAVING sum(held_bytes) > 0'
