/**
 * All statements of the gateway's store. `query-plan.test.ts` runs EXPLAIN QUERY PLAN on each: none that runs while ECGs arrive may scan a
 * table.
 * @module
 */

/** Increase it with every change of the tables; a store of another version is refused. */
export const SCHEMA_VERSION = 1

export const TABLES = `
  CREATE TABLE ecg (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL, ecg_id TEXT NOT NULL, version INTEGER NOT NULL, waveform_sha256 TEXT,
    door TEXT NOT NULL, device TEXT, envelope TEXT NOT NULL, packed BLOB NOT NULL,
    patient TEXT, about TEXT NOT NULL,
    received_at_ms INTEGER NOT NULL, screened INTEGER NOT NULL DEFAULT 0, forwarded INTEGER NOT NULL DEFAULT 0, result BLOB,
    UNIQUE (tenant, ecg_id, version)
  ) STRICT;
  CREATE INDEX ecg_by_waveform ON ecg (tenant, waveform_sha256) WHERE waveform_sha256 IS NOT NULL;
  CREATE INDEX ecg_to_screen ON ecg (id) WHERE screened = 0;
  CREATE INDEX ecg_to_forward ON ecg (id) WHERE forwarded = 0;
  CREATE INDEX ecg_by_time ON ecg (received_at_ms);
  CREATE INDEX ecg_by_device ON ecg (device) WHERE device IS NOT NULL;
  CREATE INDEX ecg_by_patient ON ecg (patient) WHERE patient IS NOT NULL;
  CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    ecg INTEGER NOT NULL, peer TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0, reason TEXT,
    UNIQUE (ecg, peer)
  ) STRICT;
  CREATE INDEX delivery_waiting ON delivery (peer, id) WHERE state = 0;
  CREATE INDEX delivery_dead ON delivery (id) WHERE state = 2;
  CREATE TABLE stay (
    id INTEGER PRIMARY KEY, bed TEXT NOT NULL, patient TEXT NOT NULL, authority TEXT, from_ms INTEGER NOT NULL, to_ms INTEGER
  ) STRICT;
  CREATE INDEX stay_of_patient ON stay (patient, from_ms);
  CREATE INDEX stay_of_bed ON stay (bed, from_ms);
  CREATE INDEX stay_by_end ON stay (to_ms) WHERE to_ms IS NOT NULL;
  CREATE TABLE orders (
    id INTEGER PRIMARY KEY, placer TEXT NOT NULL, filler TEXT NOT NULL, service TEXT, patient TEXT, at_ms INTEGER NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0, UNIQUE (placer, filler)
  ) STRICT;
  CREATE INDEX orders_of_patient ON orders (patient, answered, id);
  CREATE INDEX orders_by_time ON orders (at_ms);
  CREATE TABLE instance (uid TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;
  CREATE INDEX instance_by_time ON instance (at_ms);
`

/** Values of `ecg.forwarded` and of `delivery.state`. */
export const STATE = { waiting: 0, done: 1, dead: 2 } as const

export const QUERIES = {
  addEcg: `INSERT INTO ecg (tenant, ecg_id, version, waveform_sha256, door, device, envelope, packed, patient, about, received_at_ms, forwarded)
    VALUES (:tenant, :ecgId, :version, :waveformSha256, :door, :device, :envelope, :packed, :patient, :about, :receivedAtMs, :forwarded)
    ON CONFLICT DO NOTHING RETURNING id`,
  ecgByKey: 'SELECT id FROM ecg WHERE tenant = ? AND ecg_id = ? AND version = ?',
  ecgByWaveform: 'SELECT id, ecg_id FROM ecg WHERE tenant = ? AND waveform_sha256 = ? LIMIT 1',
  readEcg: 'SELECT * FROM ecg WHERE id = ?',
  toScreen: 'SELECT id FROM ecg WHERE screened = 0 AND id > ? ORDER BY id LIMIT ?',
  giveUpScreening: 'UPDATE ecg SET screened = 1 WHERE id = ? AND screened = 0',
  storeResult: 'UPDATE ecg SET screened = 1, result = ? WHERE id = ? AND screened = 0',
  toForwardAfter: 'SELECT id, device, received_at_ms FROM ecg WHERE forwarded = 0 AND id >= ? ORDER BY id LIMIT ?',
  firstSince: 'SELECT id FROM ecg WHERE received_at_ms >= ? ORDER BY received_at_ms LIMIT 1',
  markForwarded: 'UPDATE ecg SET forwarded = ? WHERE id = ?',
  markDiffering: "UPDATE ecg SET about = json_set(about, '$.differs', json('true')) WHERE id = ?",
  resultsOfEcg: 'SELECT version, result, about FROM ecg WHERE tenant = ? AND ecg_id = ? ORDER BY version DESC',
  lastResults: 'SELECT id FROM ecg WHERE received_at_ms > ? ORDER BY received_at_ms DESC LIMIT ?',
  setPatient: 'UPDATE ecg SET patient = ? WHERE patient = ?',

  addDelivery: 'INSERT INTO delivery (ecg, peer) VALUES (?, ?) ON CONFLICT DO NOTHING',
  nextDelivery: 'SELECT id, ecg FROM delivery WHERE peer = ? AND state = 0 ORDER BY id LIMIT 1',
  deliveriesOf: 'SELECT id, ecg FROM delivery WHERE peer = ? AND state = 0 ORDER BY id LIMIT ?',
  endDelivery: 'UPDATE delivery SET state = ?, reason = ? WHERE id = ? AND state = 0',
  deliverAgain: `UPDATE delivery SET state = 0 WHERE state = 1 AND peer = ? AND ecg = (
    SELECT id FROM ecg WHERE tenant = ? AND ecg_id = ? AND result IS NOT NULL ORDER BY version DESC LIMIT 1)`,
  retryDead: 'UPDATE delivery SET state = 0, reason = NULL WHERE id IN (SELECT id FROM delivery WHERE state = 2)',
  forgetDeliveries: 'DELETE FROM delivery WHERE ecg = ?',

  // A device that is away for longer than the retention gets no older results; an EHR always does.
  // May be removed: answered, forwarded (or given up), and older than the retention.
  expired: `SELECT id FROM ecg WHERE received_at_ms < ? AND screened = 1 AND forwarded <> 0
    AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.ecg = ecg.id AND delivery.state = 0
      AND delivery.peer NOT LIKE 'device:%') ORDER BY received_at_ms LIMIT 500`,
  forgetEcg: 'DELETE FROM ecg WHERE id = ?',
  forgetStays: 'DELETE FROM stay WHERE to_ms IS NOT NULL AND to_ms < ?',
  forgetOrders: 'DELETE FROM orders WHERE at_ms < ?',

  beginStay: 'INSERT INTO stay (bed, patient, authority, from_ms) VALUES (?, ?, ?, ?)',
  endStay: 'UPDATE stay SET to_ms = ? WHERE bed = ? AND from_ms = ? AND patient = ?',
  removeStay: 'DELETE FROM stay WHERE bed = ? AND from_ms = ? AND patient = ?',
  renameStays: 'UPDATE stay SET patient = ? WHERE patient = ?',
  staysOfPatient: 'SELECT * FROM stay WHERE patient = ? ORDER BY from_ms',
  inBed: 'SELECT * FROM stay WHERE bed = ? AND to_ms IS NULL ORDER BY from_ms DESC LIMIT 1',
  inBedAt:
    'SELECT * FROM stay WHERE bed = ? AND from_ms <= ? AND (to_ms IS NULL OR to_ms > ?) ORDER BY from_ms DESC LIMIT 1',

  addOrder: `INSERT INTO orders (placer, filler, service, patient, at_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (placer, filler) DO UPDATE SET service = excluded.service, patient = excluded.patient, answered = 0`,
  cancelOrder: 'DELETE FROM orders WHERE placer = ? AND filler = ?',
  openOrder: 'SELECT * FROM orders WHERE patient = ? AND answered = 0 ORDER BY id DESC LIMIT 1',
  orderAnswered: 'UPDATE orders SET answered = 1 WHERE placer = ? AND filler = ?',
  renameOrders: 'UPDATE orders SET patient = ? WHERE patient = ?',

  ecgsOfPatient: 'SELECT id FROM ecg WHERE patient = ?',
  ecgsOfDevice: 'SELECT id, envelope FROM ecg WHERE device = ?',
  // Erasing is rare, and files are few beside windows, so it may scan the table.
  ecgsOfFolder: "SELECT id, about FROM ecg WHERE door = 'folder'",
  erasePatientStays: 'DELETE FROM stay WHERE patient = ?',
  erasePatientOrders: 'DELETE FROM orders WHERE patient = ?',

  addInstance: 'INSERT INTO instance (uid, at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
  hasInstance: 'SELECT 1 FROM instance WHERE uid = ?',
  forgetInstances: 'DELETE FROM instance WHERE at_ms < ?',

  // For `status`, which runs rarely; these may scan the index that they count.
  countToScreen: 'SELECT count(*) AS count FROM ecg WHERE screened = 0',
  countToForward: 'SELECT count(*) AS count, min(received_at_ms) AS oldest FROM ecg WHERE forwarded = 0',
  countEcgs: 'SELECT count(*) AS count FROM ecg',
  countDeliveries: 'SELECT peer, state, count(*) AS count FROM delivery WHERE state <> 1 GROUP BY peer, state',
  newest: 'SELECT max(received_at_ms) AS newest FROM ecg',
} as const

/** Statements that count, and one that erases: the only ones that may scan a table or an index. */
export const COUNTING: readonly (keyof typeof QUERIES)[] = [
  'ecgsOfFolder',
  'countToScreen',
  'countToForward',
  'countEcgs',
  'countDeliveries',
  'newest',
]
