/**
 * Electrode exchanges that are detected, and the effect of each on the leads. The effect is shown beside a warning and never applied to a
 * recording.
 * @module
 */
export const ELECTRODE_EXCHANGES = {
  'RA-LA': 'lead I is inverted, and II and III, aVR and aVL are exchanged',
  'RA-LL': 'lead II is inverted, I and III are inverted and exchanged, and aVR and aVF are exchanged',
  'LA-LL': 'lead III is inverted, and I and II, aVL and aVF are exchanged',
  'RA-RL': 'lead II is nearly flat, and no limb lead shows what its name says',
  'V1-V2': 'V1 and V2 are exchanged',
  'V2-V3': 'V2 and V3 are exchanged',
  'V3-V4': 'V3 and V4 are exchanged',
  'V4-V5': 'V4 and V5 are exchanged',
  'V5-V6': 'V5 and V6 are exchanged',
  'V1-V3': 'V1 and V3 are exchanged',
  'V1-V6': 'V1 to V6 are in the opposite order',
  'V1-inverted': 'V1 is upside down',
  'V2-inverted': 'V2 is upside down',
  'V3-inverted': 'V3 is upside down',
  'V4-inverted': 'V4 is upside down',
  'V5-inverted': 'V5 is upside down',
  'V6-inverted': 'V6 is upside down',
} as const satisfies Record<string, string>

export type ElectrodeExchange = keyof typeof ELECTRODE_EXCHANGES
