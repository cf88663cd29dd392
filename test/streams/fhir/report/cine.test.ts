import { describe, expect, it, onTestFinished } from 'vitest'
import { problemsOf, startSandboxEhr } from '../../../../cdk/local/sandbox-ehr/index.ts'
import { isOurs } from '../../../../streams/fhir/ours.ts'
import { type CineOptions, cineBundle } from '../../../../streams/fhir/report/cine.ts'

const view = (name: 'sax' | '4ch', number: number) => ({
  view: name,
  seriesUid: `2.25.10${number}`,
  instanceUid: `2.25.20${number}`,
  frames: 50,
  preview: { contentType: 'image/webp', bytes: Buffer.from(`picture of ${name}`) },
})

const cine = (overrides: Partial<CineOptions> = {}) =>
  cineBundle({
    ecgId: 'cb13f49a-9791-5ab4-9725-6c9eaba60096',
    version: 1,
    seed: 7,
    sampler: 'distilled',
    patient: 'Patient/p1',
    drawnAt: new Date('2026-01-02T03:05:00Z'),
    studyUid: '2.25.1',
    views: [view('sax', 1), view('4ch', 2)],
    model: { bundle: 'cardiacnets-compact@0.3.0', sha256: 'a'.repeat(64) },
    ...overrides,
  })

describe('the FHIR transaction of a synthetic cine', () => {
  it.each([
    ['for an upload', {}],
    ['for an ECG from the EHR', { source: 'Observation/ecg1', encounter: 'Encounter/e1' }],
  ])('is valid FHIR R4: %s', (_, overrides) => {
    expect(problemsOf(cine(overrides))).toEqual([])
  })

  it('says SYNTHETIC to people and programs, and is not taken for an ECG', () => {
    const drawn = cine().entry!.map(({ resource }) => resource!)

    const shown = drawn.filter(({ resourceType }) => resourceType !== 'Device')
    expect(shown.map(({ resourceType }) => resourceType)).toEqual([
      'ImagingStudy',
      'DocumentReference',
      'DocumentReference',
    ])
    for (const resource of shown) {
      expect(JSON.stringify(resource)).toContain('SYNTHETIC')
      expect(resource.meta!.tag).toMatchObject([{ code: 'synthetic' }])
    }
    expect(drawn.every(isOurs)).toBe(true)
  })

  it('states the version of the ECG that was drawn', () => {
    const [study, ...views] = cine({ version: 2 }).entry!.map(({ resource }) => JSON.stringify(resource))

    expect(study).toContain('drawn by a model from version 2 of an ECG')
    for (const view of views.slice(0, 2)) expect(view).toContain('drawn from an ECG, version 2.')
  })

  it('contains the animated images', () => {
    const documents = cine().entry!.flatMap(({ resource }) =>
      resource!.resourceType === 'DocumentReference' ? [resource.content![0]!.attachment] : [],
    )

    const pictures = documents.map(({ data }) => Buffer.from(data!, 'base64').toString())
    expect(pictures).toEqual(['picture of sax', 'picture of 4ch'])
    expect(documents).toMatchObject([
      { contentType: 'image/webp', size: 14 },
      { contentType: 'image/webp', size: 14 },
    ])
  })

  it('is stored once when it is sent twice; another seed, sampler or version of the ECG makes another study', async () => {
    const ehr = await startSandboxEhr()
    onTestFinished(() => ehr.stop())
    const headers = { 'content-type': 'application/fhir+json' }
    const patient = JSON.stringify({ resourceType: 'Patient', id: 'p1' })
    await fetch(`${ehr.baseUrl}/Patient/p1`, { method: 'PUT', headers, body: patient })
    const send = async (bundle: object) =>
      (await fetch(ehr.baseUrl, { method: 'POST', headers, body: JSON.stringify(bundle) })).status

    const statuses = [
      await send(cine()),
      await send(cine()),
      await send(cine({ seed: 8 })),
      await send(cine({ sampler: 'full' })),
      await send(cine({ version: 2 })),
    ]

    expect(statuses).toEqual([200, 200, 200, 200, 200])
    expect([...ehr.store.all('ImagingStudy')]).toHaveLength(4)
    expect([...ehr.store.all('DocumentReference')]).toHaveLength(8)
  })
})
