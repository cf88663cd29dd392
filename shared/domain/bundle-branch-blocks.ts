/**
 * Complete bundle branch blocks. They look like what a loaded or dilated ventricle does to the ECG, so a condition may have a higher threshold
 * where the network reads one.
 * @module
 */
export const BLOCK_IDS = ['rbbb', 'lbbb'] as const
export type BlockId = (typeof BLOCK_IDS)[number]

export const BLOCK_NAMES: Readonly<Record<BlockId, string>> = {
  rbbb: 'complete right bundle branch block',
  lbbb: 'complete left bundle branch block',
}
