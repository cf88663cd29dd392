import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../../../cdk/local/free-port.ts'
import { fileOf, storeFile } from '../../../streams/dicom/scu.ts'
import { structuredReport } from '../../../streams/dicom/structured-report.ts'
import { dicomErrors, hasDciodvfy, NO_DCIODVFY } from '../../helpers/dicom-tools.ts'
import { waveformGroup, writeDicom } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'
import { startTestGateway, type TestGateway, until } from '../gateway/helpers.ts'

const hasDcmtk = spawnSync('dsrdump', ['--version']).error === undefined
const NO_DCMTK = hasDcmtk ? '' : ' (skipped: no dsrdump; Debian package dcmtk)'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const SOURCE = { study: '1.2.3', series: '1.2.3.1', instance: '1.2.3.1.1', classUid: '1.2.840.10008.5.1.4.1.1.9.1.1' }
const content = (result = makeResult(), allowsVirtual = true) => ({
  result,
  order: { placer: 'ACC-1' },
  visit: { patient: '4711', authority: 'HOSP', bed: undefined },
  source: SOURCE,
  at: new Date(Date.UTC(2026, 0, 2, 3, 4, 5)),
  allowsVirtual,
})
const written = (report: ReturnType<typeof structuredReport>) => {
  const path = join(folder, 'report.dcm')
  writeFileSync(path, fileOf(report))
  return path
}
/** What dcmtk reads: it ends with an error for a tree that the standard does not allow. */
const dsrdump = (path: string) => execFileSync('dsrdump', ['+Pc', '+Pl', path], { encoding: 'utf8', stdio: 'pipe' })

describe.skipIf(!hasDcmtk)(`a structured report read by dcmtk${NO_DCMTK}`, () => {
  it('states probability, threshold, verdict and evidence of each finding', () => {
    const tree = dsrdump(written(structuredReport(content())))

    expect(tree).toContain('Enhanced SR Document')
    expect(tree).toMatch(/CODE:\(53741008,SCT,"Coronary arteriosclerosis"\)=\(above-threshold,99CNE/)
    expect(tree).toMatch(/NUM:\(probability,99CNE,"[^"]+"\)="0.41" \(1,UCUM,"no units"\)/)
    expect(tree).toMatch(/CODE:\(evidence,99CNE,"[^"]+"\)=\(real,99CNE,"learned from real patients' labels"\)/)
    expect(tree).toMatch(/CODE:\(84114007,SCT,"Heart failure"\)=\(below-threshold,99CNE/)
    expect(tree.match(/=\(virtual,99CNE,"learned from simulated people"\)/g)).toHaveLength(4 + 7)
    expect(tree).toMatch(/NUM:\(10230-1,LN,"Left ventricular Ejection fraction"\)/)
    expect(tree).toContain('Not a medical device')
    expect(tree).toContain('WAVEFORM')
  })

  it('leaves out findings learned from simulated people unless the site allows them, and counts them', () => {
    const tree = dsrdump(written(structuredReport(content(makeResult(), false))))

    expect(tree).toContain('(53741008,SCT')
    expect(tree).not.toContain('(84114007,SCT')
    expect(tree).not.toContain('10230-1')
    expect(tree).toContain('86 numbers that learned from simulated people.')
  })

  it('names the bundle branch block that raised the threshold of a finding', () => {
    const [finding] = makeResult().findings
    const findings = [{ ...finding!, raisedBy: 'lbbb' as const }]

    const tree = dsrdump(written(structuredReport(content(makeResult({ findings, indices: [] })))))

    expect(tree).toMatch(/\(threshold-raised,99CNE,"[^"]+"\)="complete left bundle branch block"/)
  })

  it('states neither number nor verdict of a withheld finding', () => {
    const [finding] = makeResult().findings
    const withheld = { ...finding!, flagged: false, withheld: { reason: 'paced-rhythm' } } as const
    const tree = dsrdump(written(structuredReport(content(makeResult({ findings: [withheld], indices: [] })))))

    expect(tree).toMatch(/"Coronary arteriosclerosis"\)=\(withheld,99CNE,"withheld: paced-rhythm"\)/)
    expect(tree).not.toContain('probability')
  })

  it('follows the order and the templates of an ECG report', () => {
    const measurements = {
      method: 'delineation-v1',
      heartRateBpm: 61,
      rrMs: 984,
      prMs: 160,
      qrsMs: 92,
      qtMs: 400,
      qtcBazettMs: 403,
      qtcFridericiaMs: 402,
      axisDegrees: 40,
    }
    const templates = (path: string) => execFileSync('dsrdump', ['+Pt', path], { encoding: 'utf8' }).match(/TID \d+/g)

    const whole = written(structuredReport(content(makeResult({ measurements }))))
    const tree = dsrdump(whole)
    const claimed = templates(whole)
    const { prMs: _, ...unsure } = measurements
    const claimedWithoutPr = templates(written(structuredReport(content(makeResult({ measurements: unsure })))))

    expect(claimed).toEqual(['TID 3708', 'TID 3713', 'TID 3719'])
    expect(claimedWithoutPr).toEqual(['TID 3708', 'TID 3719'])
    expect(tree.match(/CONTAINER:\(,,"[^"]+"\)|CONTAINER:\(([^,]+),/g)).toHaveLength(6)
    expect(tree).toMatch(/NUM:\(2:16016,MDC,"Ventricular Heart Rate"\)="61" \(\{H.B.\}\/min,UCUM,"BPM"\)/)
    expect(tree).toMatch(/NUM:\(2:15876,MDC,"QTc interval global"\)="403"/)
    expect(tree).toMatch(/DATETIME:\(122146,DCM,"Procedure DateTime"\)/)
  })

  it('states why an ECG was refused', () => {
    const tree = dsrdump(written(structuredReport(content(makeRefusal()))))

    expect(tree).toContain('Refused by the quality gate: flat, lead-off. Not screened.')
  })

  it('refers to the report that it corrects, under a new UID', () => {
    const before = structuredReport(content())
    const after = structuredReport(content(makeResult({ version: 2, supersedes: 1 })))
    const dump = execFileSync('dcmdump', [written(after)], { encoding: 'utf8' })

    expect(after.SOPInstanceUID).not.toBe(before.SOPInstanceUID)
    expect(dump.slice(dump.indexOf('PredecessorDocumentsSequence'))).toContain(String(before.SOPInstanceUID))
    expect(dsrdump(written(after))).toContain('Version 2; replaces version 1.')
  })

  it.skipIf(!hasDciodvfy)(`passes dciodvfy without errors${NO_DCIODVFY}`, () => {
    expect(dicomErrors(written(structuredReport(content())))).toEqual([])
  })
})

it('a structured report is the same, byte for byte, at each attempt', () => {
  expect(fileOf(structuredReport(content())).equals(fileOf(structuredReport(content())))).toBe(true)
})

it('a structured report identifies the patient by number only', () => {
  const { PatientName, PatientID, PatientBirthDate, PatientSex } = structuredReport(content())

  expect([PatientName, PatientID, PatientBirthDate, PatientSex]).toEqual(['', '4711', '', ''])
})

describe('the gateway’s archive delivery', () => {
  let ward: TestGateway | undefined
  let archive: ChildProcess | undefined
  afterEach(async () => {
    await ward?.end()
    ward = undefined
    if (archive !== undefined) {
      archive.kill('SIGKILL')
      await once(archive, 'exit')
      archive = undefined
    }
  })
  const ecgFile = () => {
    const path = join(folder, 'ecg.dcm')
    const { bytes } = writeDicom([
      [0x0008_0016, 'UI', `${SOURCE.classUid}\0`],
      [0x0008_0018, 'UI', `${SOURCE.instance}\0`],
      [0x0010_0020, 'LO', '4711'],
      [0x0020_000d, 'UI', `${SOURCE.study}\0`],
      [0x0020_000e, 'UI', `${SOURCE.series}\0`],
      [0x5400_0100, 'SQ', [waveformGroup(syntheticRecording({ gainUv: 5 }))]],
    ])
    writeFileSync(path, bytes)
    return path
  }
  const send = async (archives: readonly object[]) => {
    ward = await startTestGateway({ dicom: { port: 0, allow: ['CARDIACNETS'] }, archives, virtual: false })
    const port = ward.gateway.ports.dicom!
    await storeFile({ host: '127.0.0.1', port, calling: 'CARDIACNETS', called: 'CARDIACNETS' }, ecgFile())
    return ward
  }

  it.skipIf(!hasDcmtk)(
    `stores a report in the ECG's study once the archive is up${NO_DCMTK}`,
    { timeout: 120_000 },
    async () => {
      const port = await freePort()
      mkdirSync(join(folder, 'archive'))
      const gateway = await send([{ kind: 'dicom', name: 'pacs', host: '127.0.0.1', port, called: 'ARCHIVE' }])
      await until(
        () => gateway.metric('delivery_attempts_total{outcome="retry"}'),
        (count) => count > 0,
      )

      archive = spawn('storescp', ['-aet', 'ARCHIVE', '-od', join(folder, 'archive'), String(port)], {
        stdio: 'ignore',
      })
      await listening(port)
      const [name] = await until(
        () => readdirSync(join(folder, 'archive')),
        (names) => names.length === 1,
      )

      const path = join(folder, 'archive', name!)
      await until(
        () => gateway.metric('delivery_attempts_total{outcome="sent"}'),
        (count) => count === 1,
      )
      expect(dsrdump(path)).toContain('(53741008,SCT,"Coronary arteriosclerosis")')
      const dump = execFileSync('dcmdump', ['+P', '0020,000d', '+P', '0010,0020', path], { encoding: 'utf8' })
      expect(dump).toContain(SOURCE.study)
      expect(dump).toContain('4711')
    },
  )

  it('stores a report by STOW-RS, and moves a refused one to the dead letters', async () => {
    const bodies: Buffer[] = []
    let status = 503
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(Buffer.from(chunk))
      bodies.push(Buffer.concat(chunks))
      response.writeHead(status).end('{}')
      status = 409
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number } // it listens on a port

    const gateway = await send([{ kind: 'dicomweb', name: 'web', url: `http://127.0.0.1:${port}/dicom-web` }])
    await until(
      () => gateway.metric('delivery_attempts_total{outcome="dead"}'),
      (count) => count === 1,
    )

    const part = (body: Buffer) => body.subarray(body.indexOf('\r\n\r\n'), body.lastIndexOf('\r\n--'))
    expect(bodies).toHaveLength(2)
    expect(part(bodies[0]!).equals(part(bodies[1]!))).toBe(true)
    expect(bodies[0]!.includes('DICM')).toBe(true)
    const state = (await (await fetch(gateway.url('/status'))).json()) as { deliveries: unknown }
    expect(state.deliveries).toEqual({ 'archive:web': { waiting: 0, dead: 1 } })
    server.close()
  })
})

async function listening(port: number): Promise<void> {
  await until(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(port, '127.0.0.1')
        socket.once('connect', () => resolve(true))
        socket.once('error', () => resolve(false))
        socket.once('connect', () => socket.destroy())
      }),
    Boolean,
  )
}
