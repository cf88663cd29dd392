import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { changesSince } from '../../streams/fhir/changes.ts'
import { createEhrClient, type EhrClient, type FhirResource } from '../../streams/fhir/client.ts'
import { ecgObservation } from '../../streams/fhir/ecg-observation.ts'
import { AIAST } from '../../streams/fhir/ours.ts'
import { reportBundle } from '../../streams/fhir/report/bundle.ts'
import { screeningOf } from '../../streams/fhir/report/screening.ts'
import { writeReport } from '../../streams/fhir/report/write.ts'
import { parseRecording } from '../../streams/formats/index.ts'
import { syntheticRecording } from '../helpers/recordings.ts'
import { makeRefusal, makeResult } from '../helpers/results.ts'
import { type Hapi, startHapi } from './hapi.ts'
import { whyNoJava } from './java.ts'

const why = whyNoJava()

interface Issue {
  readonly severity: string
  readonly diagnostics: string
}

/** HAPI judges by the code systems as R4 had them in 2019; terminology.hl7.org, which is their home now, has this code. */
const AIAST_IS_NEWER = `Unknown code '${AIAST.system}#${AIAST.code}'`

/** The whole run on a busy machine. */
const LONG = 900_000

describe.skipIf(why !== undefined)(
  `HAPI FHIR${why === undefined ? '' : ` (skipped: ${why})`}`,
  { timeout: LONG },
  () => {
    let hapi: Hapi
    let ehr: EhrClient
    let patient: string
    let ecg: FhirResource

    beforeAll(async () => {
      hapi = await startHapi()
      ehr = createEhrClient({ baseUrl: hapi.baseUrl, transport: { timeoutMs: 300_000, attempts: 1 } })
      patient = `Patient/${(await ehr.create({ resourceType: 'Patient' })).id}`
      ecg = await ehr.create(ecgObservation(syntheticRecording(), { patient, now: new Date() }))
    }, LONG)
    afterAll(() => hapi?.stop(), LONG)

    const options = () => ({
      patient,
      source: `Observation/${ecg.id}`,
      issuedAt: new Date(),
      allowsVirtual: true,
    })
    /** All that the server has of a type, the newest last. */
    async function all(resourceType: string): Promise<FhirResource[]> {
      const found: FhirResource[] = []
      for await (const page of ehr.searchPages(resourceType, { _count: 100, _sort: '_lastUpdated' })) {
        const entries = (page.entry ?? []) as readonly { resource: FhirResource }[] // of a searchset
        found.push(...entries.map(({ resource }) => resource))
      }
      return found
    }

    it('states that it speaks R4', async () => {
      expect((await ehr.capabilities()).fhirVersion).toBe('4.0.1')
    })

    it('returns an ECG as it was stored, to the microvolt', async () => {
      const stored = await ehr.read(`Observation/${ecg.id}`)

      const recording = parseRecording([{ name: 'ecg.json', bytes: Buffer.from(JSON.stringify(stored)) }], {})

      expect(recording.leads).toEqual(syntheticRecording().leads)
    })

    it.each([
      ['a result', () => makeResult()],
      ['a refusal', () => makeRefusal()],
    ])('validates the report of %s with HL7’s own validator', async (_, result) => {
      const bundle = reportBundle({ ...options(), screening: screeningOf(result()) })
      const response = await fetch(`${hapi.baseUrl}/Bundle/$validate`, {
        method: 'POST',
        headers: { 'content-type': 'application/fhir+json' },
        body: JSON.stringify(bundle),
      })

      const { issue } = JSON.parse(await response.text()) as { issue: readonly Issue[] } // an OperationOutcome
      const wrong = issue.filter(({ severity }) => severity === 'error' || severity === 'fatal')
      expect(wrong.map(({ diagnostics }) => diagnostics).filter((text) => text !== AIAST_IS_NEWER)).toEqual([])
    })

    it('stores a report once, even when it is sent repeatedly', async () => {
      const screening = screeningOf(makeResult())

      const outcomes = [
        await writeReport(ehr, { ...options(), screening }),
        await writeReport(ehr, { ...options(), screening }),
      ]
      // As a retry would, whose first answer was lost.
      await ehr.transaction(reportBundle({ ...options(), screening }))

      expect(outcomes).toEqual(['written', 'exists'])
      const counts = await Promise.all(['DiagnosticReport', 'RiskAssessment', 'Device', 'Provenance'].map(all))
      expect(counts.map(({ length }) => length)).toEqual([1, 1, 1, 1])
      expect(await all('Observation')).toHaveLength(1 + 33)
    })

    it('replaces a report with its correction', async () => {
      const { provenance } = makeResult()
      const screening = screeningOf(makeResult({ provenance: { ...provenance, modelSha256: 'c'.repeat(64) } }))

      const outcome = await writeReport(ehr, { ...options(), screening })

      expect(outcome).toBe('written')
      const statuses = (await all('DiagnosticReport')).map(({ status }) => status)
      expect(statuses.toSorted()).toEqual(['cancelled', 'preliminary'])
      expect((await all('Observation')).filter(({ status }) => status === 'cancelled')).toHaveLength(33)
    })

    it('stores nothing of a report that it refuses', async () => {
      const before = await all('Provenance')
      const { provenance } = makeResult()
      const screening = screeningOf(makeResult({ provenance: { ...provenance, modelSha256: 'e'.repeat(64) } }))

      const sending = ehr.transaction(reportBundle({ ...options(), patient: 'Patient/nobody', screening }))

      await expect(sending).rejects.toMatchObject({ code: 'ehr-refused' })
      expect(await all('Provenance')).toHaveLength(before.length)
    })

    it('notifies us of the new ECG, and not of our own resources', async () => {
      const references: string[] = []
      for await (const { changes } of changesSince(ehr, 'Observation?status=final,preliminary', new Date(0))) {
        references.push(...changes.map(({ reference }) => reference))
      }

      expect(references).toEqual([`Observation/${ecg.id}`])
    })
  },
)
