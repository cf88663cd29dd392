/**
 * One caller asks for more than its share; another tenant is served all the same.
 * @module
 */
import type { Attack } from './attack.ts'
import { type Caller, OTHER, OWNER, SHARES, type World } from './world.ts'

const kind = 'quotas'
const greedy: Caller = { tenant: OWNER, sub: 'greedy' }

const json = { 'content-type': 'application/json' }

interface Refusal {
  readonly status: number
  readonly retryAfter: string | null
}

/** Sends requests until one is refused; limits count per time span, so that twice the limit can pass across a boundary. */
async function untilRefused(share: number, ask: (n: number) => Promise<Refusal>): Promise<string> {
  for (let n = 1; n <= 2 * share + 1; n++) {
    const { status, retryAfter } = await ask(n)
    if (status !== 429) continue
    return `429 after ${n > share ? 'its share' : `${n - 1} of ${share}`}, Retry-After ${Number(retryAfter) > 0 ? 'said' : 'missing'}`
  }
  return `${2 * share + 1} answered`
}

const EXPECTED = '429 after its share, Retry-After said'

const refusalOf = ({ status, headers }: { status: number; headers: Headers }): Refusal => ({
  status,
  retryAfter: headers.get('retry-after'),
})

async function openStream(world: World, gone: AbortSignal): Promise<Refusal> {
  const authorization = `Bearer ${await world.tokenOf(greedy)}`
  const headers = { authorization, accept: 'text/event-stream' }
  return refusalOf(await fetch(`${world.stack.apiUrl}/v1/events`, { headers, signal: gone }))
}

export const QUOTA_ATTACKS: readonly Attack[] = [
  {
    kind,
    name: 'uploads',
    expected: EXPECTED,
    run: ({ ask }) =>
      untilRefused(SHARES.uploadsPerMinute.subject, async () =>
        refusalOf(await ask(greedy, '/v1/ecgs', { method: 'POST', body: 'no ECG' })),
      ),
  },
  {
    kind,
    name: 'associations',
    expected: EXPECTED,
    run: ({ ask, victim }) =>
      untilRefused(SHARES.associationsPerMinute.subject, async (n) => {
        const body = JSON.stringify({ patient: victim.patient, from: '2026-01-01T00:00:00Z' })
        return refusalOf(
          await ask(greedy, `/v1/devices/quota-${n}/association`, { method: 'PUT', headers: json, body }),
        )
      }),
  },
  {
    kind,
    name: 'cines with different seeds',
    expected: EXPECTED,
    async run({ ask, victim }) {
      const jobs: string[] = []
      const said = await untilRefused(SHARES.cinesPerDay.subject, async (n) => {
        const init = { method: 'POST', headers: json, body: JSON.stringify({ seed: 1000 + n }) }
        const answer = await ask(greedy, `/v1/ecgs/${victim.ecgId}/cmr`, init)
        if (answer.status === 202) jobs.push((JSON.parse(answer.text) as { jobId: string }).jobId)
        return refusalOf(answer)
      })
      // No worker should draw them.
      for (const jobId of jobs) await ask(greedy, `/v1/cmr/${jobId}`, { method: 'DELETE' })
      return said
    },
  },
  {
    kind,
    name: 'event streams',
    expected: EXPECTED,
    async run(world) {
      const gone = new AbortController()
      try {
        return await untilRefused(SHARES.streams.subject, () => openStream(world, gone.signal))
      } finally {
        gone.abort()
      }
    },
  },
  {
    kind,
    name: 'limits of one caller, without effect on other callers and tenants',
    expected: '200 200',
    async run({ ask }) {
      const callers = [{ tenant: OWNER }, { tenant: OTHER }]
      return (await Promise.all(callers.map(async (caller) => (await ask(caller, '/v1/ecgs')).status))).join(' ')
    },
  },
]
