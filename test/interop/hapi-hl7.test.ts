import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseMessage } from '../../streams/hl7/message.ts'
import { writeOru } from '../../streams/hl7/oru-out.ts'
import { syntheticRecording } from '../helpers/recordings.ts'
import { makeRefusal, makeResult } from '../helpers/results.ts'
import { startTestGateway, type TestGateway } from '../streams/gateway/helpers.ts'
import { adt, waveOru } from '../streams/hl7/helpers.ts'
import { type HapiHl7, startHapiHl7 } from './hapi-hl7.ts'
import { whyNoJava } from './java.ts'

const why = whyNoJava()
const LONG = 300_000

describe.skipIf(why !== undefined)(
  `HAPI HL7v2${why === undefined ? '' : ` (skipped: ${why})`}`,
  { timeout: LONG },
  () => {
    let hapi: HapiHl7
    let gateway: TestGateway
    let folder: string

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'hapi-hl7-test-'))
      hapi = await startHapiHl7()
      gateway = await startTestGateway({ destinations: [{ name: 'hapi', host: '127.0.0.1', port: hapi.port }] })
    }, LONG)
    afterAll(async () => {
      await gateway?.end()
      await hapi?.stop()
      rmSync(folder, { recursive: true, force: true })
    }, LONG)

    const saved = (bytes: Uint8Array) => {
      const path = join(folder, 'message.hl7')
      writeFileSync(path, bytes)
      return path
    }
    const ourOru = (version: string, overrides: Parameters<typeof makeResult>[0] = {}, refused = false) =>
      writeOru(
        {
          result: refused ? makeRefusal(overrides) : makeResult(overrides),
          order: { placer: 'P|1&2', filler: 'F-9' },
          visit: { patient: '4711', authority: 'HOSP', bed: 'ICU^01^A' },
          controlId: 'C1',
          at: new Date(0),
          pdf: Buffer.from('%PDF-1.4'),
        },
        { sending: ['A', 'B'], receiving: ['C', 'D'], version, processingId: 'P', codes: {}, allowsVirtual: true },
      )

    it.each(['2.3', '2.5.1', '2.8'])('accepts our ORU of version %s', async (version) => {
      const judged = await hapi.check(saved(ourOru(version)))

      expect([judged.verdict, judged.structure.split('.').at(-1)]).toEqual(['valid', 'ORU_R01'])
      expect(parseMessage(Buffer.from(judged.text)).first('OBR')!.text(2)).toBe('P|1&2')
    })

    it.each([
      ['a correction', { version: 2, supersedes: 1 }, false],
      ['a refusal', {}, true],
    ])('accepts %s', async (_, overrides, refused) => {
      const judged = await hapi.check(saved(ourOru('2.5.1', overrides, refused)))

      expect(judged.verdict).toBe('valid')
    })

    it('sends an ORU with a waveform, accepts our acknowledgement, and acknowledges the result', async () => {
      const answer = await hapi.send(
        gateway.gateway.ports.hl7!,
        saved(waveOru(syntheticRecording({ gainUv: 5, rateHz: 100 }))),
      )
      const message = await hapi.message()

      expect([answer.verdict, parseMessage(Buffer.from(answer.text)).first('MSA')!.text(1)]).toEqual(['valid', 'AA'])
      const oru = parseMessage(Buffer.from(message.text))
      expect([message.verdict, message.structure]).toEqual(['valid', 'ca.uhn.hl7v2.model.v251.message.ORU_R01'])
      expect([oru.first('OBR')!.text(2), oru.first('PID')!.text(3)]).toEqual(['PLACER-1', '4711'])
      expect(oru.all('OBX').filter((obx) => obx.text(2) === 'ED')).toHaveLength(1)
      const status = async () =>
        ((await (await fetch(gateway.url('/status'))).json()) as { deliveries: object }).deliveries
      while (Object.keys(await status()).length > 0) await new Promise((resolve) => setTimeout(resolve, 25))
    })

    it('parses our acknowledgements of ADT and of refused messages', async () => {
      const admitted = await hapi.send(gateway.gateway.ports.hl7!, saved(adt('A01', { at: '20260101000000' })))
      const another = adt('A01', { at: '20260101000100', id: 'M9' }).toString().replaceAll('4711', '4712')
      const refused = await hapi.send(gateway.gateway.ports.hl7!, saved(Buffer.from(another)))

      const codes = [admitted, refused].map(({ text }) => parseMessage(Buffer.from(text)).first('MSA')!.text(1))
      expect(codes).toEqual(['AA', 'AE'])
      expect([admitted.verdict, refused.verdict]).toEqual(['valid', 'valid'])
      expect(parseMessage(Buffer.from(refused.text)).first('ERR')!.text(5)).toBe('association-overlap')
    })
  },
)
