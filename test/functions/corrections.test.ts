import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startSandboxEhr } from '../../cdk/local/sandbox-ehr/index.ts'
import { SessionStore } from '../../functions/report/session-store.ts'
import { Sessions } from '../../functions/report/sessions.ts'
import { parseSiteConfig } from '../../shared/config/site.ts'
import { streamEcgId } from '../../shared/domain/ecg-id.ts'
import { correcting, parseResult, type Result } from '../../shared/domain/result.ts'
import type { SessionCheck } from '../../shared/messages.ts'
import { AssociationStore } from '../../shared/store/associations.ts'
import { ResultList } from '../../shared/store/result-list.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { createEhrClient } from '../../streams/fhir/client.ts'
import { digestOf, type WindowDigest } from '../../streams/fhir/report/session.ts'
import { startTestAws, TABLE, type TestAws } from '../helpers/aws.ts'
import { makeResult } from '../helpers/results.ts'

let aws: TestAws
beforeAll(async () => {
  aws = await startTestAws()
})
afterAll(() => aws.stop())

const NOW = new Date(Date.UTC(2026, 0, 2, 3, 5))
const origin = (session: string) => ({ kind: 'mqtt', device: 'd1', session }) as const

/** A window's result; `cad` is the probability of coronary artery disease, whose threshold is 0.3. */
function windowResult(tenant: string, session: string, version: number, cad: number, model = 'a'): Result {
  const plain = makeResult()
  return makeResult({
    ecgId: streamEcgId({ tenant, source: 'mqtt', device: 'd1', session, firstSample: 0 }),
    version,
    ...(version === 1 ? {} : { supersedes: version - 1 }),
    findings: plain.findings.map((finding) => {
      const probability = finding.condition === 'cad' ? cad : 0.05
      return { ...finding, probability, flagged: probability >= finding.threshold }
    }),
    provenance: { ...plain.provenance, modelSha256: model.repeat(64) },
  })
}

describe('SessionStore.addWindow', () => {
  it('keeps the newest result of a window, for any order, repetition and concurrency', async () => {
    const results = new ResultStore(aws.dynamo, TABLE)
    const sessions = new SessionStore(aws.dynamo, TABLE)
    let runs = 0
    const arrivals = fc.array(
      fc.record({ version: fc.integer({ min: 1, max: 3 }), model: fc.constantFrom('a', 'b') }),
      {
        minLength: 1,
        maxLength: 8,
      },
    )

    await fc.assert(
      fc.asyncProperty(arrivals, fc.boolean(), async (all, isAtOnce) => {
        const session = `s${++runs}`
        const key = { tenant: 'clinic', device: 'd1', session }
        const note = async ({ version, model }: (typeof all)[number], at: number) => {
          const result = windowResult('clinic', session, version, 0.1 * version, model)
          await results.putOnce('clinic', origin(session), result, new Date(NOW.getTime() + at))
          await sessions.addWindow(key, digestOf(result, NOW, true), NOW, async () => {
            const newest = await results.latest('clinic', result.ecgId)
            return newest === undefined ? undefined : digestOf(parseResult(newest), NOW, true)
          })
        }

        if (isAtOnce) await Promise.all(all.map(note))
        else for (const [at, each] of all.entries()) await note(each, at)

        const [noted] = (await sessions.windows(key)) as [WindowDigest]
        const newest = parseResult((await results.latest('clinic', noted.ecgId))!)
        expect(await sessions.windows(key)).toHaveLength(1)
        expect([noted.version, noted.modelSha256]).toEqual([newest.version, newest.provenance.modelSha256])
        expect(noted.version).toBe(Math.max(...all.map(({ version }) => version)))
      }),
      { numRuns: 8 },
    )
  })
})

describe('a corrected result', () => {
  it('replaces the report of a finished session, and names the flag that was cleared', async () => {
    const tenant = 'ward'
    const ehr = await startSandboxEhr()
    const patient = `Patient/${ehr.create({ resourceType: 'Patient' }).id}`
    const associations = new AssociationStore(aws.dynamo, TABLE)
    await associations.put(tenant, 'd1', { patient, from: new Date(0), to: undefined })
    const results = new ResultStore(aws.dynamo, TABLE)
    const checks: SessionCheck[] = []
    let nowMs = NOW.getTime()
    const sessions = new Sessions({
      ehr: createEhrClient({ baseUrl: ehr.baseUrl, transport: { attempts: 1 } }),
      store: new SessionStore(aws.dynamo, TABLE),
      tenants: new Set([tenant]),
      results,
      associations,
      rules: parseSiteConfig('{"report":{"virtual":true,"session":{"silenceS":60}}}').report,
      sendCheck: async (check) => void checks.push(check),
      now: () => new Date(nowMs),
      onPutOff: () => {},
    })
    const key = { tenant, device: 'd1', session: 's' }
    const arrives = async (result: Result) => {
      await results.putOnce(tenant, origin('s'), result, new Date(nowMs))
      return sessions.add(key, result)
    }
    const first = windowResult(tenant, 's', 1, 0.6)
    await arrives(first)
    nowMs += 61_000
    await sessions.check(checks.at(-1)!)

    const outcomes = [await arrives(windowResult(tenant, 's', 2, 0.1)), await sessions.add(key, first)]

    const reports = [...ehr.store.all('DiagnosticReport')]
    expect(outcomes).toEqual(['written', 'exists'])
    expect(reports.map(({ status }) => status)).toEqual(['cancelled', 'preliminary'])
    expect(reports[1]!.conclusion).toContain(
      'This report replaces an earlier one. NO LONGER ABOVE THRESHOLD, though the earlier report said so: Coronary artery disease.',
    )
    const notes = [...ehr.store.all('RiskAssessment')].map(({ note }) => JSON.stringify(note))
    expect(notes[1]).toContain('NO LONGER ABOVE THRESHOLD')
    await ehr.stop()
  })

  it('lists the flags that the earlier version had', async () => {
    const [before, after] = [windowResult('t', 's', 1, 0.6), windowResult('t', 's', 2, 0.1)]

    expect(correcting(after, before)).toMatchObject({
      version: 2,
      supersedes: 1,
      noLongerFlagged: [{ condition: 'cad', evidence: 'real' }],
    })
    expect(correcting(before, after)).toEqual(before)
    expect(correcting(after, undefined)).toEqual(after)
  })

  it('has a list position from which the next page continues', async () => {
    const results = new ResultStore(aws.dynamo, TABLE)
    for (const [at, [session, version]] of (
      [
        ['older', 1],
        ['s', 1],
        ['s', 2],
      ] as const
    ).entries()) {
      const result = windowResult('listed', session, version, 0.1)
      await results.putOnce('listed', origin(session), result, new Date(NOW.getTime() + at))
    }
    const list = new ResultList(aws.dynamo, TABLE)

    const first = await list.page('listed', { limit: 1 })
    const second = await list.page('listed', { limit: 1, after: first.next })

    expect([first, second].map(({ items }) => items.map(({ version }) => version))).toEqual([[2], [undefined]])
  })
})
