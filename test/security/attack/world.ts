/**
 * What is attacked: the local stack of a site with two tenants, of which one has the EHR, behind an identity provider of the tests.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb'
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import { startLocalStack } from '../../../cdk/local/stack.ts'
import { clientOptions } from '../../../cdk/local/template/plan.ts'
import { SCOPES } from '../../../functions/api/auth.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import { AssociationStore } from '../../../shared/store/associations.ts'
import { AuditStore } from '../../../shared/store/audit.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { AUDIENCE, startProvider } from './identity-provider.ts'

/** Has the EHR, and what is worth an attack. */
export const OWNER = 'owner'
/** Of the same site; attacks. */
export const OTHER = 'other'

/** The limits of one caller and one tenant in the attacked site. */
export const SHARES = {
  cinesPerDay: { tenant: 10, subject: 2 },
  streams: { tenant: 8, subject: 3 },
  uploadsPerMinute: { tenant: 100, subject: 10 },
  associationsPerMinute: { tenant: 40, subject: 5 },
} as const

/** How much is sent: the short form is for CI. */
export interface Size {
  readonly sessions: number
  readonly refusals: number
  readonly jobs: number
  readonly waiting: number
}

export const SIZES = {
  short: { sessions: 2000, refusals: 1000, jobs: 60, waiting: 200 },
  full: { sessions: 16_000, refusals: 20_000, jobs: 3600, waiting: 12_000 },
} as const satisfies Readonly<Record<string, Size>>

/** The callers. */
export interface Caller {
  readonly tenant: string
  readonly sub?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** A request of a known caller, which the audit trail must have. */
export interface Asked {
  readonly tenant: string
  readonly traceId: string
  readonly method: string
  readonly path: string
  readonly status: number
}

export type World = Awaited<ReturnType<typeof startWorld>>

const DEMO = resolve(import.meta.dirname, '../../../functions/cli/demo/virtual-ecg')
const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')
const FILES = { demo: DEMO, normal: join(SAMPLES, 'normal'), infarct: join(SAMPLES, 'old-infarct') }

/** Longer than any answer of a healthy server. */
const PATIENCE_MS = 120_000

/** Of the adapter's journal: small, so that a flood would fill it. */
const JOURNAL_LIMIT_MB = '8'

export async function startWorld(size: Size) {
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-attack-'))
  const provider = await startProvider()
  const lines: string[] = []
  process.env.JOURNAL_LIMIT_MB = JOURNAL_LIMIT_MB
  const stack = await startLocalStack({
    dataDir: folder,
    ehrPort: 0,
    identity: { issuer: provider.issuer, audience: AUDIENCE, jwksUrl: provider.jwksUrl },
    site: parseSiteConfig(
      JSON.stringify({
        ehr: { tenant: OWNER, baseUrl: 'https://ehr.example/fhir', auth: { kind: 'none' } },
        deployment: { tenants: [OWNER, OTHER], api: { limits: SHARES } },
      }),
    ),
    log: (source, line) => lines.push(`${source}: ${line}`),
  })
  delete process.env.JOURNAL_LIMIT_MB
  const dynamo = new DynamoDBClient(clientOptions(stack.env.AWS_ENDPOINT_URL_DYNAMODB!))
  const sqs = new SQSClient({ ...clientOptions(stack.env.AWS_ENDPOINT_URL_SQS!), md5: false })
  const { TableNames = [] } = await dynamo.send(new ListTablesCommand({}))
  const asked: Asked[] = []

  const tokenOf = ({ tenant, sub = 'jane' }: Caller) => provider.token({ tenant, sub, scope: SCOPES.join(' ') })

  /** With a header of one's own, or none. */
  async function request(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(`${stack.apiUrl}${path}`, init)
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  /** As a caller with a valid token. */
  async function ask(caller: Caller, path: string, init: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(init.headers)
    const traceId = randomBytes(16).toString('hex')
    headers.set('authorization', `Bearer ${await tokenOf(caller)}`)
    headers.set('traceparent', `00-${traceId}-${'b'.repeat(16)}-01`)
    const answer = await request(path, { ...init, headers })
    asked.push({ tenant: caller.tenant, traceId, method: init.method ?? 'GET', path, status: answer.status })
    return answer
  }

  /** A sample ECG, uploaded and screened. */
  async function screened(caller: Caller, file: keyof typeof FILES, query = ''): Promise<EcgId> {
    const form = new FormData()
    for (const name of [`${FILES[file]}.hea`, `${FILES[file]}.dat`]) {
      form.append('file', new Blob([Uint8Array.from(await readFile(name))]), basename(name))
    }
    const taken = await ask(caller, `/v1/ecgs${query}`, { method: 'POST', body: form })
    if (taken.status !== 202) throw new Error(`the upload was answered ${taken.status} ${taken.text}`)
    const { ecgId } = JSON.parse(taken.text) as { ecgId: EcgId }
    await until('a result', async () => (await ask(caller, `/v1/ecgs/${ecgId}`)).status === 200)
    return ecgId
  }

  /** Messages of a queue, including those in flight. */
  async function waitingIn(queue: string): Promise<number> {
    const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
    const command = new GetQueueAttributesCommand({ QueueUrl: stack.queueUrls[queue]!, AttributeNames: [...names] })
    const { Attributes = {} } = await sqs.send(command)
    return names.reduce((sum, name) => sum + Number(Attributes[name]), 0)
  }

  const ehrUrl = stack.site.ehr!.baseUrl
  const fhir = async (path: string, init: RequestInit = {}): Promise<{ id?: string; total?: number }> => {
    const headers = { accept: 'application/fhir+json', 'content-type': 'application/fhir+json' }
    const response = await fetch(`${ehrUrl}/${path}`, { ...init, headers })
    return (await response.json()) as { id?: string; total?: number } // FHIR's resource or bundle
  }

  const world = {
    size,
    stack,
    provider,
    asked,
    lines,
    tokenOf,
    request,
    ask,
    screened,
    waitingIn,
    jobs: new CmrJobStore(dynamo, stack.tableName),
    associations: new AssociationStore(dynamo, stack.tableName),
    audit: new AuditStore(dynamo, TableNames.find((name) => name.includes('audit'))!, 1),
    /** What the EHR sends with its notifications. */
    fhirSecret: () => readFile(join(folder, 'fhir-secret'), 'utf8'),
    async newPatient(): Promise<string> {
      const { id } = await fhir('Patient', { method: 'POST', body: JSON.stringify({ resourceType: 'Patient' }) })
      return `Patient/${id}`
    },
    /** Reports on a patient. */
    reportsOn: async (patient: string) => (await fhir(`DiagnosticReport?subject=${patient}`)).total ?? 0,
    async stop(): Promise<void> {
      dynamo.destroy()
      sqs.destroy()
      await stack.stop()
      await provider.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  try {
    const jane = { tenant: OWNER }
    const patient = await world.newPatient()
    const body = JSON.stringify({ patient, from: '2020-01-01T00:00:00Z' })
    const headers = { 'content-type': 'application/json' }
    const { status, text } = await ask(jane, '/v1/devices/ward-1/association', { method: 'PUT', headers, body })
    if (status !== 200) throw new Error(`the owner's association was answered ${status} ${text}`)
    const ecgId = await screened(jane, 'demo', '?device=ward-1')
    const { jobId } = await world.jobs.submit(OWNER, aDrawing(ecgId, 1), new Date())
    return { ...world, victim: { patient, device: 'ward-1', ecgId, jobId } }
  } catch (error) {
    for (const line of lines.slice(-20)) console.error(line)
    await world.stop()
    throw error
  }
}

/** A job that no worker starts, because no message announces it. */
export const aDrawing = (ecgId: EcgId, seed: number) => ({
  ecgId,
  version: 1,
  bundleSha256: 'c'.repeat(64),
  seed,
  sampler: 'distilled',
})

/** @throws Error that names what did not arrive */
export async function until(what: string, isSo: () => Promise<boolean>, limitMs = PATIENCE_MS): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`${what} did not come in ${limitMs / 1000} s`)
    await pause(100)
  }
}

/** Runs the function for each item, with limited concurrency. */
export async function forEach<T>(
  items: readonly T[],
  atOnce: number,
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = [...items]
  const work = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}
