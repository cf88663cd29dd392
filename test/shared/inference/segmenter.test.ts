import { describe, expect, it } from 'vitest'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { largestPiece, Segmenter, standardise } from '../../../shared/inference/segmenter.ts'
import { beatingRing, TINY_BUNDLE } from '../../helpers/synthesis.ts'

describe('standardise', () => {
  it('scales an image as in training', () => {
    const image = Float32Array.from({ length: 16 }, (_, i) => i * i)

    standardise(image)

    // cardiacnets.models.unet.standardise of the same, by PyTorch
    const expected = [
      -1.051289, -1.037676, -0.996838, -0.928774, -0.833485, -0.71097, -0.561229, -0.384263, -0.180071, 0.051346,
      0.309988, 0.595857, 0.90895, 1.24927, 1.616814, 1.952369,
    ]
    for (const [i, value] of expected.entries()) expect(image[i]).toBeCloseTo(value, 5)
  })

  it('maps an image of one grey to zeros', () => {
    const image = new Float32Array(9).fill(5)

    standardise(image)

    expect(Array.from(image)).toEqual(new Array(9).fill(0))
  })
})

describe('largestPiece', () => {
  const picture = (...rows: string[]) => Uint8Array.from(rows.join('').replaceAll('.', '0'), Number)

  it('keeps the largest connected piece of any label; corners do not connect', () => {
    const labels = picture(
      '11...', //
      '11.23',
      '..3.3',
      '22...',
      '..222',
    )

    expect(largestPiece(labels, 5)).toEqual(
      picture(
        '11...', //
        '11...',
        '.....',
        '.....',
        '.....',
      ),
    )
  })

  it('does not wrap around the image edge', () => {
    expect(largestPiece(picture('..2', '1..', '1..'), 3)).toEqual(picture('...', '1..', '1..'))
  })

  it('returns an empty image unchanged', () => {
    expect(largestPiece(new Uint8Array(6), 3)).toEqual(new Uint8Array(6))
  })
})

describe('Segmenter', () => {
  it.each([
    ['sax', 4],
    ['4ch', 6],
  ] as const)('assigns each pixel of each %s frame one of %d labels', async (view, labels) => {
    const segmenter = await Segmenter.open(await readBundle(TINY_BUNDLE, 'cardiacnets-v1'), view, { threads: 1 })
    const { drawn, height, width } = beatingRing(view, 3)

    const counts = await segmenter.pixelCounts(drawn, height, width)

    expect(counts.map((frame) => frame.length)).toEqual([labels, labels, labels])
    for (const frame of counts) expect(frame.reduce((sum, pixels) => sum + pixels)).toBe(height * width)
    await segmenter.release()
  })
})
