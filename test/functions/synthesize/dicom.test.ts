import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dicomFile } from '../../../functions/synthesize/artifacts/dicom.ts'
import { type Drawing, instanceUid, seriesUid, studyUid } from '../../../functions/synthesize/artifacts/drawing.ts'
import { MARK_ROWS, withMark } from '../../../functions/synthesize/artifacts/mark.ts'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import {
  dicomErrors,
  hasDciodvfy,
  hasPydicom,
  NO_DCIODVFY,
  NO_PYDICOM,
  readByPydicom,
} from '../../helpers/dicom-tools.ts'
import { beatingRing } from '../../helpers/synthesis.ts'

const drawing: Drawing = {
  ecgId: fileEcgId({ tenant: 'test', sha256: 'c'.repeat(64) }),
  version: 1,
  seed: 7,
  sampler: 'distilled',
  steps: 8,
  guidance: 1,
  modelSha256: 'a'.repeat(64),
}
const options = {
  drawing,
  model: 'cardiacnets-compact@0.2.0',
  codeVersion: '0.1.0+0123456789ab',
  cycleMs: 60_000 / 71.5,
}

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cardiacnets-dicom-'))
})

afterAll(() => rm(folder, { recursive: true }))

async function saved(view: 'sax' | '4ch'): Promise<string> {
  const path = join(folder, `${view}.dcm`)
  await writeFile(path, dicomFile(beatingRing(view), options))
  return path
}

describe('the UIDs of a drawing', () => {
  it('are distinct dotted decimals of at most 64 characters', () => {
    const uids = [
      studyUid(drawing),
      ...(['sax', '4ch'] as const).flatMap((view) => [seriesUid(drawing, view), instanceUid(drawing, view)]),
    ]

    for (const uid of uids) expect(uid).toMatch(/^2\.25\.[1-9]\d{0,38}$/)
    expect(new Set(uids).size).toBe(5)
  })

  it.each([
    ['ECG', { ecgId: fileEcgId({ tenant: 'test', sha256: 'd'.repeat(64) }) }],
    ['version of the ECG', { version: 2 }],
    ['seed', { seed: 8 }],
    ['bundle', { modelSha256: 'b'.repeat(64) }],
    ['sampler', { sampler: 'full' }],
    ['number of steps', { steps: 50 }],
    ['guidance', { guidance: 2 }],
  ])('differ for another %s', (_, change) => {
    const other = { ...drawing, ...change }

    expect(studyUid(other)).not.toBe(studyUid(drawing))
    expect(instanceUid(other, 'sax')).not.toBe(instanceUid(drawing, 'sax'))
  })
})

describe('dicomFile', () => {
  it('returns the same bytes every time', () => {
    expect(dicomFile(beatingRing(), options)).toEqual(dicomFile(beatingRing(), options))
  })

  it('states the version of the ECG that it was drawn from', () => {
    const file = dicomFile(beatingRing(), { ...options, drawing: { ...drawing, version: 2 } })

    expect(Buffer.from(file).toString('latin1')).toContain(`from ECG ${drawing.ecgId}, version 2;`)
  })

  it.skipIf(!hasDciodvfy).each(['sax', '4ch'] as const)(`passes dciodvfy for view %s${NO_DCIODVFY}`, async (view) => {
    const errors = dicomErrors(await saved(view))

    // Synthetic Data came into the standard in 2023, after the version that Debian packages.
    expect(errors.filter((line) => !line.includes('(0008,001c)'))).toEqual([])
  })

  it.skipIf(!hasPydicom).each(['sax', '4ch'] as const)(`opens in pydicom for view %s${NO_PYDICOM}`, async (view) => {
    const { frames, count, height, width } = beatingRing(view)
    const marked = withMark(frames, count, height, width)

    const { attributes, shape, pixelsSha256 } = readByPydicom(await saved(view))

    expect(shape).toEqual([count, height + MARK_ROWS, width])
    expect(pixelsSha256).toBe(createHash('sha256').update(marked).digest('hex'))
    expect(attributes).toMatchObject({
      SOPClassUID: '1.2.840.10008.5.1.4.1.1.7.2',
      SOPInstanceUID: instanceUid(drawing, view),
      SeriesInstanceUID: seriesUid(drawing, view),
      StudyInstanceUID: studyUid(drawing),
      SyntheticData: 'YES',
      ImageType: "['DERIVED', 'SECONDARY']",
      ConversionType: 'SYN',
      ManufacturerModelName: options.model,
      SoftwareVersions: `['${drawing.modelSha256}', '${options.codeVersion}']`,
      PixelSpacing: '[1.8, 1.8]',
      NumberOfFrames: '50',
    })
    expect(Number(attributes.FrameTime)).toBeCloseTo(options.cycleMs / 50, 5)
    expect(attributes.SeriesDescription).toContain('SYNTHETIC')
    for (const keyword of ['PatientName', 'PatientID', 'PatientBirthDate', 'PatientSex', 'StudyDate'])
      expect(attributes[keyword]).toBe('')
  })
})

describe('withMark', () => {
  it('keeps the image and adds the same mark below every frame', () => {
    const { frames, count, height, width } = beatingRing()

    const marked = withMark(frames, count, height, width)

    const pitch = (height + MARK_ROWS) * width
    const frame = (i: number) => marked.subarray(i * pitch, (i + 1) * pitch)
    for (let i = 0; i < count; i++) {
      expect(frame(i).subarray(0, height * width)).toEqual(
        frames.subarray(i * height * width, (i + 1) * height * width),
      )
      expect(frame(i).subarray(height * width)).toEqual(frame(0).subarray(height * width))
    }
  })

  it('draws the word SYNTHETIC', () => {
    const width = 54
    const strip = withMark(new Uint8Array(0), 1, 0, width)

    const rows = Array.from({ length: MARK_ROWS }, (_, y) =>
      Array.from(strip.subarray(y * width, (y + 1) * width), (grey) => (grey === 255 ? '#' : ' '))
        .join('')
        .trimEnd(),
    )
    expect(rows).toEqual([
      '',
      '',
      ' #### #   # #   # ##### #   # ##### #####  ###   ###',
      '#     #   # ##  #   #   #   # #       #     #   #   #',
      '#      # #  # # #   #   #   # #       #     #   #',
      ' ###    #   #  ##   #   ##### ####    #     #   #',
      '    #   #   #   #   #   #   # #       #     #   #',
      '    #   #   #   #   #   #   # #       #     #   #   #',
      '####    #   #   #   #   #   # #####   #    ###   ###',
      '',
      '',
    ])
  })
})
