import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dicomFile } from '../../functions/synthesize/artifacts/dicom.ts'
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import { echo, fileOf, storeAttributes, storeFile, stow } from '../../streams/dicom/scu.ts'
import { structuredReport } from '../../streams/dicom/structured-report.ts'
import { parseRecording } from '../../streams/formats/index.ts'
import { waveformGroup, writeDicom } from '../helpers/dicom-writer.ts'
import { syntheticRecording } from '../helpers/recordings.ts'
import { makeResult } from '../helpers/results.ts'
import { beatingRing } from '../helpers/synthesis.ts'
import { startTestGateway, type TestGateway, until } from '../streams/gateway/helpers.ts'
import { type Orthanc, orthancVersion, startOrthanc, whyNoOrthanc } from './orthanc.ts'

const why = whyNoOrthanc()
const TWELVE_LEAD = '1.2.840.10008.5.1.4.1.1.9.1.1'
const ECG = syntheticRecording({ gainUv: 5 })

describe.skipIf(why !== undefined)(
  `Orthanc ${why === undefined ? orthancVersion() : `(skipped: ${why})`}`,
  { timeout: 120_000 },
  () => {
    let gateway: TestGateway
    let orthanc: Orthanc
    let folder: string

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'orthanc-test-'))
      gateway = await startTestGateway({ dicom: { port: 0, aeTitle: 'CARDIACNETS', allow: ['ORTHANC'] } })
      orthanc = await startOrthanc(gateway.gateway.ports.dicom!)
    }, 120_000)
    afterAll(async () => {
      await orthanc?.stop()
      await gateway?.end()
      rmSync(folder, { recursive: true, force: true })
    })

    const peer = () => ({ host: '127.0.0.1', port: orthanc.dicomPort, calling: 'CARDIACNETS', called: 'ORTHANC' })
    const saved = (name: string, bytes: Uint8Array) => {
      const path = join(folder, name)
      writeFileSync(path, bytes)
      return path
    }
    const ecgFile = (instance: string, patient = '4711') =>
      saved(
        `${instance}.dcm`,
        writeDicom([
          [0x0008_0016, 'UI', TWELVE_LEAD],
          [0x0008_0018, 'UI', `1.2.826.0.1.3680043.8.498.${instance}`],
          [0x0008_0060, 'CS', 'ECG'],
          [0x0010_0020, 'LO', patient],
          [0x0020_000d, 'UI', '1.2.826.0.1.3680043.8.498.1'],
          [0x0020_000e, 'UI', `1.2.826.0.1.3680043.8.498.2.${instance}`],
          [0x5400_0100, 'SQ', [waveformGroup(ECG)]],
        ]).bytes,
      )
    const cineFile = (seed: number) =>
      saved(
        `cine-${seed}.dcm`,
        dicomFile(beatingRing('sax'), {
          drawing: {
            ecgId: fileEcgId({ tenant: 'test', sha256: 'c'.repeat(64) }),
            version: 1,
            seed,
            sampler: 'distilled',
            steps: 8,
            guidance: 1,
            modelSha256: 'a'.repeat(64),
          },
          model: 'cardiacnets-compact@0.2.0',
          codeVersion: 'test',
          cycleMs: 850,
        }),
      )
    /** What Orthanc holds of an instance, and its bytes as it gives them back. */
    const held = async (sopInstance: string) => {
      const [id] = (await orthanc.ask('tools/lookup', sopInstance)) as { ID: string; Type: string }[]
      const tags = (await orthanc.ask(`instances/${id!.ID}/simplified-tags`)) as Record<string, string>
      const bytes = Buffer.from(await (await fetch(`${orthanc.url}/instances/${id!.ID}/file`)).arrayBuffer())
      return { id: id!.ID, tags, bytes }
    }
    const sopOf = async (path: string) => {
      const { default: dimse } = await import('dcmjs-dimse')
      return String(dimse.Dataset.fromFile(path)!.getElement('SOPInstanceUID'))
    }
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

    it('answers our C-ECHO', async () => {
      await echo(peer())
    })

    it('accepts a synthetic cine by C-STORE, reads its frames, and shows that it is synthetic', async () => {
      const path = cineFile(1)

      const status = await storeFile(peer(), path)

      const { id, tags } = await held(await sopOf(path))
      expect(status).toBe(0)
      expect(tags).toMatchObject({ NumberOfFrames: '50' })
      expect(JSON.stringify(tags)).toContain('SYNTHETIC')
      const frame = await fetch(`${orthanc.url}/instances/${id}/frames/49/preview`)
      expect([frame.status, frame.headers.get('content-type')]).toEqual([200, 'image/png'])
    })

    it('accepts a synthetic cine by STOW-RS and returns it byte for byte', async () => {
      const path = cineFile(2)

      await stow(`${orthanc.url}/dicom-web`, path)

      const { bytes } = await held(await sopOf(path))
      expect(sha256(bytes)).toBe(sha256(readFileSync(path)))
    })

    it('accepts an ECG by C-STORE and STOW-RS, and returns its samples', async () => {
      const [stored, stowed] = [ecgFile('101'), ecgFile('102')]

      await storeFile(peer(), stored)
      await stow(`${orthanc.url}/dicom-web`, stowed)

      for (const path of [stored, stowed]) {
        const { bytes } = await held(await sopOf(path))
        expect(parseRecording([{ name: 'ecg.dcm', bytes }]).leads).toEqual(ECG.leads)
      }
    })

    it('accepts a structured report by C-STORE and STOW-RS, and returns every item', async () => {
      const report = (version: number) =>
        structuredReport({
          result: makeResult({ version }),
          order: {},
          visit: { patient: '4711', authority: undefined, bed: undefined },
          at: new Date(0),
          allowsVirtual: false,
        })
      const [stored, stowed] = [report(7), report(8)]

      const status = await storeAttributes(peer(), stored)
      await stow(`${orthanc.url}/dicom-web`, fileOf(stowed))

      expect(status).toBe(0)
      for (const { SOPInstanceUID, ContentSequence: items } of [stored, stowed]) {
        const { tags } = await held(String(SOPInstanceUID))
        expect(tags).toMatchObject({ Modality: 'SR', PreliminaryFlag: 'PRELIMINARY' })
        expect(tags.ContentSequence).toHaveLength((items as readonly object[]).length) // as `structuredReport` makes it
        expect(JSON.stringify(tags.ContentSequence)).toContain("learned from real patients' labels")
      }
    })

    it('refuses a non-DICOM file by STOW-RS, and the command reports it', async () => {
      await expect(stow(`${orthanc.url}/dicom-web`, saved('no.dcm', Buffer.from('hello')))).rejects.toMatchObject({
        code: 'delivery-refused',
      })
    })

    it('sends an ECG from its archive to the gateway, which screens it', async () => {
      const path = ecgFile('103')
      await storeFile(peer(), path)
      const { id } = await held(await sopOf(path))

      const echoed = await orthanc.ask('modalities/gateway/echo', '{}')
      const job = await orthanc.ask('modalities/gateway/store', id)

      expect(echoed).toEqual({})
      expect(job).toMatchObject({ FailedInstancesCount: 0, InstancesCount: 1 })
      const [result] = await until(
        () => gateway.results(),
        (results) => results.length === 1,
      )
      expect(result!.status).toBe('screened')
    })
  },
)
