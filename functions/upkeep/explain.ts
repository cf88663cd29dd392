/**
 * Computes the attribution of an ECG's scores on request.
 * @module
 */
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import { WINDOW_S } from '../../shared/domain/window.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { ATTRIBUTION_METHOD, attribute, STRETCHES } from '../../shared/inference/attribution.ts'
import { judgedWindow, type Stores } from '../../shared/inference/judged-window.ts'
import type { Screener } from '../../shared/inference/screener.ts'
import type { Attribution, AttributionStore, Explained } from '../../shared/store/attributions.ts'

export interface ExplainOptions extends Stores {
  readonly attributions: Pick<AttributionStore, 'end'>
  /** Called for the first attribution; a function that only deletes needs no network. */
  readonly screener: () => Promise<Screener>
}

/** Computes and stores the attribution, or the reason why there is none. Throws errors that a retry may fix. */
export async function explain(options: ExplainOptions, tenant: string, ecgId: EcgId): Promise<void> {
  const judged = await options.results.judged(tenant, ecgId)
  if (judged === undefined) return // deleted meanwhile
  const answer = await answerTo(options, tenant, judged.result).catch((thrown: unknown) => {
    const { code, kind } = toCodedError(thrown)
    if (!kind.permanent) throw thrown
    return { reason: code }
  })
  await options.attributions.end(tenant, judged.result, answer, new Date())
}

async function answerTo(options: ExplainOptions, tenant: string, of: Explained): Promise<Attribution> {
  const screener = await options.screener()
  // A network other than the one that judged the ECG would explain its own score and not the one that is shown.
  if (of.provenance.modelSha256 !== screener.bundle.sha256) throw new CodedError('bundle-mismatch', { field: 'bundle' })
  const { clean, person, fromS } = await judgedWindow(options, tenant, of.ecgId)
  if (LEADS.every((_, lead) => clean.leadMask[lead] === 0)) throw new CodedError('ecg-refused', { field: 'quality' })
  return {
    method: ATTRIBUTION_METHOD,
    fromS,
    stretchMs: (WINDOW_S * 1000) / STRETCHES,
    conditions: await attribute(screener, clean, person),
  }
}
