import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Frame } from '../../../shared/domain/frame.ts'
import type { Result } from '../../../shared/domain/result.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { writeOru } from '../../../streams/hl7/oru-out.ts'
import { framesOf } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeResult } from '../../helpers/results.ts'
import { startTestGateway, until } from './helpers.ts'

const ecgId = fileEcgId({ tenant: 'local', sha256: 'e'.repeat(64) })

describe('versions in the gateway’s store', () => {
  let store: Store
  beforeEach(() => {
    store = new Store(':memory:', { limitBytes: 1e9, forwards: false })
  })
  afterEach(() => store.close())

  const add = (version: number, result?: Result) => {
    const { id } = store.addEcg(
      {
        door: 'mqtt',
        envelope: {
          schema: 1,
          tenant: 'local',
          ecgId,
          origin: { kind: 'mqtt', device: 'd1', session: 's1' },
          span: { startedAt: null, firstSample: 0, durationMs: 10_000 },
          ...(version === 1 ? {} : { version, supersedes: version - 1 }),
        },
        packed: new Uint8Array(),
        about: { order: {}, visit: { patient: undefined, authority: undefined, bed: undefined } },
      },
      1,
    )
    if (result !== undefined) store.storeResult(id, JSON.stringify(result), [])
    return id
  }
  const of = (version: number) => ({ tenant: 'local', ecgId, version })

  it('stay readable, and a late older version replaces nothing', () => {
    add(2, makeResult({ ecgId, version: 2 }))
    add(1, makeResult({ ecgId, version: 1 }))

    const versions = [undefined, 1, 2, 3].map((version) => store.resultOf('local', ecgId, version))
    expect(versions.map((json) => json && (JSON.parse(json) as Result).version)).toEqual([2, 1, 2, undefined])
    expect([of(1), of(2)].map((each) => store.isSuperseded(each))).toEqual([true, false])
    expect(store.resultBefore(of(2))!.version).toBe(1)
    expect(store.resultBefore(of(1))).toBeUndefined()
  })
})

describe('an ORU with a correction', () => {
  const oru = (ids: readonly ConditionId[], allowsVirtual: boolean) =>
    parseMessage(
      writeOru(
        {
          result: makeResult({
            version: 2,
            supersedes: 1,
            noLongerFlagged: ids.map((condition) => ({
              condition,
              evidence: condition === 'cad' ? 'real' : 'virtual',
            })),
          }),
          order: {},
          visit: { patient: undefined, authority: undefined, bed: undefined },
          controlId: '1',
          at: new Date(0),
        },
        { sending: ['A', 'B'], receiving: ['C', 'D'], version: '2.5.1', processingId: 'P', codes: {}, allowsVirtual },
      ),
    )
  const text = (ids: readonly ConditionId[], allowsVirtual = true) =>
    oru(ids, allowsVirtual)
      .all('OBX')
      .find((obx) => obx.text(3, 1) === 'supersedes')!
      .text(5)

  it('has status C and names the cleared flags that the site allows', () => {
    expect(oru(['cad'], true).first('OBR')!.text(25)).toBe('C')
    expect(text(['cad'])).toBe(
      'Version 2; replaces version 1. NO LONGER FLAGGED, though the earlier version was: Coronary artery disease.',
    )
    expect(text(['cad', 'hf'], false)).not.toContain('Heart failure')
    expect(text([])).toBe('Version 2; replaces version 1.')
  })
})

describe('a device whose window was closed short', () => {
  it('receives the version completed by its late frames, without the warning', async () => {
    const ward = await startTestGateway({ sessionIdleS: 1 })
    const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${ward.gateway.ports.mqtt}`, version: 4 })
    const got: Result[] = []
    await link.listen('ecg/v1/local/d1/results', (payload) => got.push(JSON.parse(payload.toString()) as Result))
    const recording = syntheticRecording({ gainUv: 5 })
    const frames = [
      ...framesOf(recording, toWire(recording), { session: 's1', sessionStartedAtMs: Date.now() - 20_000 }),
    ]
    const publish = async (some: readonly Frame[]) => {
      for (const frame of some)
        await link.publish('ecg/v1/local/d1/frames', encodeFrame(frame), 'application/x-protobuf')
    }

    await publish(frames.slice(0, 19))
    await until(
      () => got.length,
      (count) => count === 1,
    )
    await publish(frames.slice(19))
    await until(
      () => got.length,
      (count) => count === 2,
    )

    const [short, whole] = got as [Result, Result]
    expect([short.version, whole.version, whole.supersedes]).toEqual([1, 2, 1])
    expect(whole.ecgId).toBe(short.ecgId)
    expect(short.warnings.map(({ code }) => code)).toContain('window-closed-short')
    expect(whole.warnings.map(({ code }) => code)).not.toContain('window-closed-short')
    const [older, newest] = await Promise.all(
      ['?version=1', ''].map(async (query) => (await fetch(ward.url(`/v1/ecgs/${short.ecgId}${query}`))).json()),
    )
    expect([older, newest]).toEqual([short, whole])
    await until(
      () => ward.cloud.got.length,
      (count) => count === 2,
    )
    expect(ward.cloud.got.map(({ envelope }) => envelope.version ?? 1)).toEqual([1, 2])
    await link.close()
    await ward.end()
  })
})
