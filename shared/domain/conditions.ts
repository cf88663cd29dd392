/**
 * The five conditions and the 82 cardiac function indices, from the same tables that training reads.
 * @module
 */
import conditions from './conditions.json' with { type: 'json' }
import indices from './indices.json' with { type: 'json' }

export const CONDITION_IDS = ['cad', 'cm', 'pericarditis', 'hf', 'ph'] as const

export type ConditionId = (typeof CONDITION_IDS)[number]

export const CONDITION_NAMES: ReadonlyMap<string, string> = new Map(conditions.map(({ id, name }) => [id, name]))

export interface IndexDefinition {
  readonly id: string
  /** UK Biobank field, 24100 to 24181. */
  readonly field: number
  readonly name: string
  /** UCUM. */
  readonly unit: string
}

/** The 82 indices in the order of their UK Biobank fields, which is the order of the `index_mean` tensor. */
export const INDICES: readonly IndexDefinition[] = indices
