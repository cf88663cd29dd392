import { expect, it } from 'vitest'
import { checkDrawable } from '../../../shared/inference/synthesis-refusal.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'

// `makeResult` has one lead that is noisy: eleven are left.
it.each([
  ['a bundle that cannot draw', makeResult(), undefined, 'synthesis-unavailable: field=synthesis'],
  ['a refused ECG', makeRefusal(), { minimumLeads: 1 }, 'ecg-refused: field=quality'],
  ['too few leads', makeResult(), { minimumLeads: 12 }, 'leads-too-few: field=quality.leads leads=11 minimumLeads=12'],
  [
    'an unfamiliar ECG',
    makeResult({ ood: { score: 9, threshold: 3, flagged: true } }),
    { minimumLeads: 8 },
    'ecg-unfamiliar: field=ood',
  ],
])('checkDrawable refuses %s with its code', (_what, result, rules, message) => {
  const check = () => checkDrawable(result, rules)

  expect(check).toThrow(message)
})

it('checkDrawable accepts an ECG with enough leads', () => {
  const check = () =>
    checkDrawable(makeResult({ ood: { score: 1, threshold: 3, flagged: false } }), { minimumLeads: 11 })

  expect(check).not.toThrow()
})
