import { describe, expect, it } from 'vitest'
import { bedChanges, type Stay, type StayChange } from '../../../streams/hl7/beds.ts'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { type AdtOptions, adt, bytesOf, header } from './helpers.ts'

const NOW = Date.parse('2026-01-02T12:00:00Z')

/** Keeps stays in memory as the gateway's store does on disk. */
class Ward {
  stays: Stay[] = []

  take(event: string, options: AdtOptions = {}): readonly StayChange[] {
    const changes = bedChanges(parseMessage(adt(event, options)), this, NOW)
    for (const change of changes) this.#apply(change)
    return changes
  }

  ofPatient = (patient: string) => this.stays.filter((stay) => stay.patient === patient)

  inBed = (bed: string) => this.stays.find((stay) => stay.bed === bed && stay.toMs === undefined)

  #apply(change: StayChange) {
    const swap = (stay: Stay, by: readonly Stay[]) => {
      this.stays = this.stays.flatMap((each) => (each === stay ? by : [each]))
    }
    if (change.kind === 'begin') this.stays.push(change.stay)
    else if (change.kind === 'rename')
      this.stays = this.stays.map((each) => (each.patient === change.from ? { ...each, patient: change.to } : each))
    else if (change.kind === 'remove') swap(change.stay, [])
    else if (change.kind === 'end') swap(change.stay, [{ ...change.stay, toMs: change.toMs }])
    else swap(change.stay, [{ ...change.stay, toMs: undefined }])
  }

  get shown() {
    return this.stays.map(({ bed, patient, fromMs, toMs }) => [bed, patient, hour(fromMs), toMs && hour(toMs)])
  }
}

const hour = (ms: number) => new Date(ms).getUTCHours()
const at = (hours: number) => `20260102${String(hours).padStart(2, '0')}0000`

describe('bed assignment by ADT', () => {
  it('follows admission, move and discharge', () => {
    const ward = new Ward()

    ward.take('A01', { at: at(1) })
    ward.take('A02', { bed: 'ICU^02^B', at: at(3) })
    ward.take('A03', { bed: 'ICU^02^B', at: at(5) })

    expect(ward.shown).toEqual([
      ['ICU^01^A', '4711', 1, 3],
      ['ICU^02^B', '4711', 3, 5],
    ])
  })

  it('ignores repeated messages', () => {
    const ward = new Ward()
    ward.take('A01', { at: at(1) })

    expect(ward.take('A01', { at: at(1) })).toEqual([])
    expect(ward.take('A08', { at: at(2) })).toEqual([])
  })

  it('cancels an admission, a move and a discharge', () => {
    const ward = new Ward()
    ward.take('A04', { at: at(1) })
    ward.take('A02', { bed: 'ICU^02^B', at: at(2) })

    ward.take('A12', { bed: 'ICU^01^A', at: at(3) })
    expect(ward.shown).toEqual([['ICU^01^A', '4711', 1, undefined]])

    ward.take('A03', { at: at(4) })
    ward.take('A13', { at: at(5) })
    expect(ward.shown).toEqual([['ICU^01^A', '4711', 1, undefined]])

    ward.take('A11', { at: at(6) })
    expect(ward.shown).toEqual([])
  })

  it('merges two patient numbers', () => {
    const ward = new Ward()
    ward.take('A01', { patient: 'temp', at: at(1) })

    ward.take('A40', { patient: '4711', merged: 'temp' })

    expect(ward.shown).toEqual([['ICU^01^A', '4711', 1, undefined]])
  })

  it('merges the patient numbers of every pair', () => {
    const ward = new Ward()
    ward.take('A01', { patient: 'a', at: at(1) })
    ward.take('A01', { patient: 'b', bed: 'ICU^02^B', at: at(1) })
    const pair = (from: string, to: string) => [`PID|1||${to}^^^HOSP^MR`, `MRG|${from}^^^HOSP^MR`]
    const message = bytesOf([header({ type: 'ADT^A40' }), ...pair('a', '1'), ...pair('b', '2')])

    const changes = bedChanges(parseMessage(message), ward, NOW)

    expect(changes).toEqual([
      { kind: 'rename', from: 'a', to: '1' },
      { kind: 'rename', from: 'b', to: '2' },
    ])
  })

  it('refuses an admission of two patients', () => {
    const message = parseMessage(Buffer.concat([adt('A01'), bytesOf(['PID|2||4712^^^HOSP^MR'])]))

    expect(() => bedChanges(message, new Ward(), NOW)).toThrow('association-mismatch: field=PID[4].3')
  })

  it.each([
    ['an admission to an occupied bed', 'A01', { patient: '4712', at: at(3) }, 'association-overlap', 'PV1.3'],
    [
      'a move into an occupied bed',
      'A02',
      { patient: '9', bed: 'ICU^01^A', at: at(3) },
      'association-overlap',
      'PV1.3',
    ],
    ['a move before the admission', 'A02', { bed: 'ICU^02^B', at: at(0) }, 'clock-invalid', 'EVN.6'],
    ['a discharge before the admission', 'A03', { at: at(0) }, 'clock-invalid', 'EVN.6'],
    ['a time in the future', 'A02', { bed: 'ICU^02^B', at: '20300101000000' }, 'clock-invalid', 'EVN.2'],
    ['a move without a bed', 'A02', { bed: '' }, 'field-invalid', 'PV1.3'],
    ['an admission without a patient', 'A01', { patient: '' }, 'field-invalid', 'PID.3'],
    [
      'invalid messages only, not one without a time',
      'A01',
      { patient: '9', bed: 'ICU^09^A', at: '' },
      undefined,
      undefined,
    ],
    ['an unsupported event', 'A60', {}, 'format-unsupported', 'MSH[0].9'],
  ])('refuses and ignores %s', (_, event, options, code, field) => {
    const ward = new Ward()
    ward.take('A01', { at: at(1) })
    const before = ward.shown

    const take = () => ward.take(event, options)

    if (code === undefined) expect(take()).toHaveLength(1)
    else {
      expect(take).toThrow(expect.objectContaining({ code, detail: expect.objectContaining({ field }) }))
      expect(ward.shown).toEqual(before)
    }
  })
})
