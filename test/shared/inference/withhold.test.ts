import { expect, test } from 'vitest'
import { screenWindow } from '../../../shared/inference/screen.ts'
import type { Screener } from '../../../shared/inference/screener.ts'
import type { CleanWindow } from '../../../shared/waveform/clean-codec.ts'
import { makeResult } from '../../helpers/results.ts'

const { ecgId, span, quality, findings, provenance } = makeResult()
const { profile, inputSha256 } = provenance
const clean: CleanWindow = { codes: new Int16Array(), amplitude: new Float32Array(), leadMask: new Uint8Array() }

/** Returns the result of `makeResult` for any window. */
const screener = {
  bundle: { manifest: { name: 'b', version: '1' }, sha256: 'a'.repeat(64) },
  screen: async () => ({ findings, indices: [] }),
} as unknown as Screener // only what `screenWindow` calls

test('a warning that withholds clears the flag of every finding and gives the reason', async () => {
  const window = {
    ecgId,
    span,
    quality,
    profile,
    inputSha256,
    warnings: [{ code: 'electrodes-exchanged', which: 'RA-LA', withholds: true } as const],
  }

  const result = await screenWindow(screener, window, clean, 'test')

  expect(findings.some(({ flagged }) => flagged)).toBe(true)
  expect(result.findings.map(({ flagged, withheld }) => ({ flagged, withheld }))).toEqual(
    findings.map(() => ({ flagged: false, withheld: { reason: 'electrodes-exchanged' } })),
  )
})

test('a warning that does not withhold leaves the findings unchanged', async () => {
  const warnings = [{ code: 'window-padded' } as const]

  const result = await screenWindow(screener, { ecgId, span, quality, profile, inputSha256, warnings }, clean, 'test')

  expect(result).toMatchObject({ version: 1, warnings, findings })
})
