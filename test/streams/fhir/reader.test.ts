import { expect, it } from 'vitest'
import type { EhrClient, FhirResource } from '../../../streams/fhir/client.ts'
import { readEcgs } from '../../../streams/fhir/reader.ts'

/** An EHR that has everything, and counts what it is asked for. */
function countingEhr() {
  let reads = 0
  const ehr = {
    baseUrl: 'https://ehr.example/fhir',
    read: async () => {
      reads++
      return { resourceType: 'Basic' }
    },
    readBinary: async () => {
      reads++
      return { contentType: undefined, bytes: Buffer.alloc(0) }
    },
  } as unknown as EhrClient // all that a reader asks
  return { ehr, reads: () => reads }
}

const many = (count: number) => Array.from({ length: count }, (_, i) => i)
const report = (fields: object): FhirResource => ({ resourceType: 'DiagnosticReport', ...fields })

it.each<[string, FhirResource, string]>([
  ['results', report({ result: many(51).map((i) => ({ reference: `Observation/${i}` })) }), 'reference'],
  ['files', report({ presentedForm: many(51).map((i) => ({ url: `Binary/${i}` })) }), 'reference'],
  ['contained resources', report({ contained: many(200_000).map(() => ({ resourceType: 'Basic' })) }), 'contained'],
])('a report that names too many %s is refused before any is read', async (_, root, field) => {
  const { ehr, reads } = countingEhr()

  const reading = readEcgs(ehr, root)

  await expect(reading).rejects.toMatchObject({ code: 'payload-too-large', detail: { field } })
  expect(reads()).toBe(0)
})
