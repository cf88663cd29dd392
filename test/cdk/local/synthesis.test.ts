import { openAsBlob } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LocalStack, startLocalStack } from '../../../cdk/local/stack.ts'
import { makeDrawingBundle } from '../../helpers/synthesis.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { Lines } from '../helpers/assembly.ts'

const DEMO = join(resolve(import.meta.dirname, '../../..'), 'functions/cli/demo/virtual-ecg')

interface Job {
  readonly jobId: string
  readonly status: string
  readonly reason?: string
  readonly artifacts?: readonly { readonly name: string; readonly contentType: string; readonly href: string }[]
}

let stack: LocalStack
let ecg: string
const log = new Lines()

/** The stack as `npm start` makes it, with a bundle of which the part that draws has random weights. */
beforeAll(async () => {
  process.env.MODEL_DIR = await makeDrawingBundle(temporaryFolder())
  stack = await startLocalStack({
    withoutAdapter: true,
    ehrPort: 0,
    // The machine that runs the tests can be busy.
    batchPriority: 0,
    log: (source, line) => log.add(`${source}: ${line}`),
  })
  const headers = { 'content-type': 'application/json' }
  const patient = { resourceType: 'Patient', id: 'p1' }
  await fetch(`${stack.site.ehr!.baseUrl}/Patient/p1`, { method: 'PUT', headers, body: JSON.stringify(patient) })
  const association = { patient: 'Patient/p1', from: '2000-01-01T00:00:00Z' }
  const device = `${stack.apiUrl}/v1/devices/holter-7/association`
  await fetch(device, { method: 'PUT', headers, body: JSON.stringify(association) })
  const form = new FormData()
  for (const end of ['.hea', '.dat']) form.append('file', await openAsBlob(`${DEMO}${end}`), `virtual-ecg${end}`)
  const upload = await fetch(`${stack.apiUrl}/v1/ecgs?device=holter-7`, { method: 'POST', body: form })
  ecg = `${stack.apiUrl}${upload.headers.get('location')}`
  let status = 202
  while (status === 202) {
    await pause(50)
    status = (await fetch(ecg)).status
  }
}, 300_000)

afterAll(async () => {
  delete process.env.MODEL_DIR
  await stack?.stop()
})

// A test looks at a part of it and fails where that is not as it should be.
const jobOf = async (response: Response) => (await response.json()) as Job

const submit = async (body: object) =>
  fetch(`${ecg}/cmr`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })

/** The worker logs its end, so each line is a moment to check. */
async function ended(jobId: string): Promise<Job> {
  for (;;) {
    const lines = log.all.length
    const job = await jobOf(await fetch(`${stack.apiUrl}/v1/cmr/${jobId}`))
    if (!['queued', 'starting', 'running'].includes(job.status)) return job
    await log.until((all) => all.length > lines)
  }
}

describe('the local stack with synthesis', () => {
  it('draws both cines on request, once for two requests, and serves them', async () => {
    const [first, second] = await Promise.all([submit({}), submit({ seed: 0 })])
    const { jobId } = await jobOf(first)
    const same = await jobOf(second)
    const done = await ended(jobId)

    const bodies = await Promise.all(
      done.artifacts!.map(async ({ name, href }) => {
        const response = await fetch(`${stack.apiUrl}${href}`)
        return [name, response.headers.get('content-type'), Buffer.from(await response.arrayBuffer())] as const
      }),
    )
    const start = (name: string, from: number, to: number) =>
      bodies.find(([each]) => each === name)![2].toString('latin1', from, to)

    expect(same.jobId).toBe(jobId)
    expect(done).toMatchObject({ status: 'done' })
    expect(bodies.map(([name, type]) => `${name} ${type}`)).toEqual([
      'sax.dcm application/dicom',
      '4ch.dcm application/dicom',
      'sax.webp image/webp',
      '4ch.webp image/webp',
      'indices.json application/json',
      'manifest.json application/json',
    ])
    expect([start('sax.dcm', 128, 132), start('4ch.webp', 8, 12)]).toEqual(['DICM', 'WEBP'])
    expect(log.all.filter((line) => line.includes('"message":"done"'))).toHaveLength(1)
  }, 240_000)

  it('stops a cancelled job, and draws it on a new request', async () => {
    const { jobId } = await jobOf(await submit({ seed: 1, sampler: 'full' }))
    let job: Job | undefined
    while (job?.status !== 'running') {
      await pause(50)
      job = await jobOf(await fetch(`${stack.apiUrl}/v1/cmr/${jobId}`))
    }

    const cancelled = await jobOf(await fetch(`${stack.apiUrl}/v1/cmr/${jobId}`, { method: 'DELETE' }))
    await log.until((lines) => lines.some((line) => line.includes('"message":"nothing"')))
    const after = await jobOf(await fetch(`${stack.apiUrl}/v1/cmr/${jobId}`))
    const again = await jobOf(await submit({ seed: 1, sampler: 'full' }))

    expect([cancelled.status, after.status]).toEqual(['cancelled', 'cancelled'])
    expect(again).toMatchObject({ jobId, status: 'queued' })
    expect(await ended(jobId)).toMatchObject({ status: 'done' })
  }, 240_000)

  it('writes the cine to the EHR, marked SYNTHETIC, for the patient of the device', async () => {
    await submit({})
    interface Found {
      readonly total: number
      readonly entry: readonly { readonly resource: object }[]
    }
    let studies: Found = { total: 0, entry: [] }
    while (studies.total === 0) {
      await pause(50)
      const response = await fetch(`${stack.site.ehr!.baseUrl}/ImagingStudy?patient=Patient/p1`)
      studies = (await response.json()) as Found // a searchset, or the test fails
    }

    expect(studies.entry[0]!.resource).toMatchObject({
      subject: { reference: 'Patient/p1' },
      description: expect.stringContaining('SYNTHETIC'),
      meta: { tag: [{ code: 'synthetic' }] },
    })
  }, 240_000)

  it('deletes the cines with their ECG', async () => {
    const { jobId } = await jobOf(await submit({}))

    const deleted = await fetch(ecg, { method: 'DELETE' })

    expect(deleted.status).toBe(204)
    const gone = await Promise.all([
      fetch(`${stack.apiUrl}/v1/cmr/${jobId}`),
      fetch(`${stack.apiUrl}/v1/cmr/${jobId}/artifacts/sax.dcm`),
    ])
    expect(gone.map(({ status }) => status)).toEqual([404, 404])
  })
})
