/**
 * Where the indices of healthy virtual people lie: simulated people without any condition, drawn like those that the networks learned from.
 * They are no patients, so this is never a normal range (`reference-ranges.ts`).
 *
 * `virtual-ranges.json` is made by `cardiacnets-train cohort ranges`.
 * @module
 */
import { INDICES } from './conditions.ts'
import type { Person } from './recording.ts'
import type { ReferenceRange } from './reference-ranges.ts'
import ranges from './virtual-ranges.json' with { type: 'json' }

/** Virtual people that a person is compared with. */
export interface VirtualPeople {
  /** Without it, both. */
  readonly sex?: 'male' | 'female'
  readonly fromYears: number
  readonly toYears: number
  readonly count: number
  /** 5th to 95th percentile of an index; `undefined` for an unknown index. */
  readonly rangeOf: (index: string) => ReferenceRange | undefined
}

const EVERYBODY = {
  ...ranges.everybody,
  fromYears: Math.min(...ranges.groups.map(({ fromYears }) => fromYears)),
  toYears: Math.max(...ranges.groups.map(({ toYears }) => toYears)),
}

/** Those of the same sex and age, all of them where one of the two is not known, and nobody for an age that no virtual person has. */
export function virtualPeople({ sex, ageYears }: Person): VirtualPeople | undefined {
  const isAged = ({ fromYears, toYears }: { readonly fromYears: number; readonly toYears: number }) =>
    ageYears !== undefined && ageYears >= fromYears && ageYears < toYears + 1
  if (ageYears !== undefined && !isAged(EVERYBODY)) return undefined
  const group = ranges.groups.find((each) => each.sex === sex && isAged(each))
  const { fromYears, toYears, people, low, high } = group ?? EVERYBODY
  const rangeOf = (index: string): ReferenceRange | undefined => {
    const place = INDICES.findIndex(({ id }) => id === index)
    const [from, to] = [low[place], high[place]]
    return from === undefined || to === undefined ? undefined : { low: from, high: to }
  }
  return { ...(group === undefined || sex === undefined ? {} : { sex }), fromYears, toYears, count: people, rangeOf }
}
