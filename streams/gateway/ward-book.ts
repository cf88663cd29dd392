/**
 * Stays in beds and open orders in the store. Methods that write must be called within a transaction of the store.
 * @module
 */
import type { Stay, StayChange, StayReader } from '../hl7/beds.ts'
import type { OrderNumbers } from '../hl7/visit.ts'
import type { Row, Statements } from './statements.ts'

export class WardBook {
  readonly #statements: Statements

  constructor(statements: Statements) {
    this.#statements = statements
  }

  get reader(): StayReader {
    return {
      ofPatient: (patient) => this.#statements.rows('staysOfPatient', patient).map(stayOf),
      inBed: (bed) => {
        const row = this.#statements.row('inBed', bed)
        return row && stayOf(row)
      },
    }
  }

  /** The stay in a bed at a time. */
  stayAt(bed: string, atMs: number): Stay | undefined {
    const row = this.#statements.row('inBedAt', bed, atMs, atMs)
    return row && stayOf(row)
  }

  /** Applies changes, within a transaction. */
  apply(changes: readonly StayChange[]): void {
    for (const change of changes) {
      if (change.kind === 'rename') {
        for (const query of ['renameStays', 'renameOrders', 'setPatient'] as const) {
          this.#statements.of(query).run(change.to, change.from)
        }
        continue
      }
      const { bed, patient, authority, fromMs } = change.stay
      if (change.kind === 'begin') this.#statements.of('beginStay').run(bed, patient, authority ?? null, fromMs)
      else if (change.kind === 'end') this.#statements.of('endStay').run(change.toMs, bed, fromMs, patient)
      else if (change.kind === 'reopen') this.#statements.of('endStay').run(null, bed, fromMs, patient)
      else this.#statements.of('removeStay').run(bed, fromMs, patient)
    }
  }

  /** Adds an order, within a transaction. */
  addOrder({ placer = '', filler = '', service }: OrderNumbers, patient: string | undefined, nowMs: number): void {
    this.#statements
      .of('addOrder')
      .run(placer, filler, service ? JSON.stringify(service) : null, patient ?? null, nowMs)
  }

  cancelOrder({ placer = '', filler = '' }: OrderNumbers): void {
    this.#statements.of('cancelOrder').run(placer, filler)
  }

  /** The open order of a patient; the newest of several. */
  openOrder(patient: string): OrderNumbers | undefined {
    const row = this.#statements.row('openOrder', patient)
    if (row === undefined) return undefined
    return {
      ...(row.placer === '' ? {} : { placer: String(row.placer) }),
      ...(row.filler === '' ? {} : { filler: String(row.filler) }),
      // Only `addOrder` writes this column.
      ...(row.service === null ? {} : { service: JSON.parse(String(row.service)) as OrderNumbers['service'] & {} }),
    }
  }

  orderAnswered({ placer = '', filler = '' }: OrderNumbers): void {
    this.#statements.of('orderAnswered').run(placer, filler)
  }
}

function stayOf(row: Row): Stay {
  return {
    bed: String(row.bed),
    patient: String(row.patient),
    authority: row.authority === null ? undefined : String(row.authority),
    fromMs: Number(row.from_ms),
    toMs: row.to_ms === null ? undefined : Number(row.to_ms),
  }
}
