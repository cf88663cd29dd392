import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { Authority, HAS_OPENSSL, NO_OPENSSL } from '../../helpers/certificates.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { RawPeer, waveOru } from '../hl7/helpers.ts'
import { startEhr, startTestGateway, type TestGateway, until } from './helpers.ts'

describe.skipIf(!HAS_OPENSSL)(`HL7 by mutual TLS${NO_OPENSSL}`, () => {
  let folder: string
  let authority: Authority
  let ward: TestGateway | undefined
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mllp-tls-'))
    authority = new Authority(folder)
  })
  afterEach(async () => {
    await ward?.end()
    ward = undefined
    rmSync(folder, { recursive: true })
  })

  it('carries an ECG in and its result out, and admits only peers with a certificate of the authority', async () => {
    const foreign = new Authority(mkdtempSync(join(folder, 'foreign-')))
    const ehr = await startEhr(undefined, authority.pem('ehr'))
    const own = { ...authority.sign('gateway'), ca: authority.ca }
    ward = await startTestGateway({
      hl7: { port: 0, tls: own },
      destinations: [{ name: 'ehr', host: '127.0.0.1', port: ehr.port, tls: own }],
    })
    const port = ward.gateway.ports.hl7!
    const answerTo = async (connecting: Promise<RawPeer>) => {
      // With TLS 1.3 a client learns that its certificate is refused only when it reads.
      const peer = await connecting.catch(() => undefined)
      peer?.send(waveOru(syntheticRecording({ gainUv: 5 })))
      const answer = await peer?.answer()
      peer?.close()
      return answer && parseMessage(Buffer.from(answer)).first('MSA')!.text(1)
    }
    const { ca } = authority.pem('cart')

    const refused = [
      await answerTo(RawPeer.connect(port, { ca })),
      await answerTo(RawPeer.connect(port, { ...foreign.pem('cart'), ca })),
      await answerTo(RawPeer.connect(port, authority.pem('late', -1))),
    ]
    const verdict = await answerTo(RawPeer.connect(port, authority.pem('cart')))
    await until(
      () => ehr.messages.length,
      (count) => count === 1,
    )

    expect(refused).toEqual([undefined, undefined, undefined])
    expect(verdict).toBe('AA')
    expect(ehr.messages[0]!.first('OBR')!.text(2)).toBe('PLACER-1')
    await ehr.close()
  })

  it('keeps a result for an EHR whose certificate another authority signed', async () => {
    const foreign = new Authority(mkdtempSync(join(folder, 'foreign-')))
    const ehr = await startEhr(undefined, authority.pem('ehr'))
    const own = { ...authority.sign('gateway'), ca: foreign.ca }
    const to = { name: 'ehr', host: '127.0.0.1', port: ehr.port }
    ward = await startTestGateway({ destinations: [{ ...to, tls: own }] })
    const peer = await RawPeer.connect(ward.gateway.ports.hl7!)

    peer.send(waveOru(syntheticRecording({ gainUv: 5 })))
    await peer.answer()
    await until(
      () => ward!.results(),
      (results) => results.length === 1,
    )
    const whileDistrusted = ehr.messages.length
    ward = await ward.again({ destinations: [{ ...to, tls: { ...own, ca: authority.ca } }] })
    await until(
      () => ehr.messages.length,
      (count) => count === 1,
    )

    expect(whileDistrusted).toBe(0)
    peer.close()
    await ehr.close()
  })
})
