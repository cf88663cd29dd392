/**
 * Finds the patient and the order of an ECG: from its own message, else from the bed of its device at the time of recording.
 * @module
 */
import type { GatewayConfig } from './config.ts'
import type { Store } from './store.ts'
import type { About, StoredEcg } from './stored-ecg.ts'

/** The ECG's own numbers, completed from the ward's stays and orders; nothing is overwritten. */
export function completeAbout(store: Store, beds: NonNullable<GatewayConfig['hl7']>['beds'], ecg: StoredEcg): About {
  const { about, envelope } = ecg
  const visit = about.visit.patient === undefined ? visitAt(store, beds, ecg) : about.visit
  const hasOrder = about.order.placer !== undefined || about.order.filler !== undefined
  const order =
    hasOrder || visit.patient === undefined ? about.order : (store.book.openOrder(visit.patient) ?? about.order)
  return { ...about, visit, order: envelope.origin.kind === 'mqtt' ? about.order : order }
}

function visitAt(store: Store, beds: NonNullable<GatewayConfig['hl7']>['beds'], ecg: StoredEcg): About['visit'] {
  const { origin, span } = ecg.envelope
  const device = 'device' in origin ? origin.device : undefined
  const bed =
    ecg.about.visit.bed ?? Object.keys(beds).find((each) => device !== undefined && beds[each]!.includes(device))
  // Without a recording time, the patient is not inferred from the time of arrival, which would be a guess.
  if (bed === undefined || span.startedAt === null) return ecg.about.visit
  const stay = store.book.stayAt(bed, Date.parse(span.startedAt))
  return { patient: stay?.patient, authority: stay?.authority, bed }
}
