import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { MARK_ROWS, withMark } from '../../../functions/synthesize/artifacts/mark.ts'
import { previewWebp } from '../../../functions/synthesize/artifacts/preview.ts'
import { beatingRing } from '../../helpers/synthesis.ts'

describe('a preview', () => {
  it('is an endless animation of one heartbeat, enlarged four times', async () => {
    const bytes = await previewWebp(beatingRing(), 839)

    const { format, width, pageHeight, pages, loop, delay } = await sharp(bytes, { animated: true }).metadata()
    expect({ format, width, pageHeight, pages, loop }).toEqual({
      format: 'webp',
      width: 320,
      pageHeight: (80 + MARK_ROWS) * 4,
      pages: 50,
      loop: 0,
    })
    expect(delay?.reduce((sum, ms) => sum + ms)).toBe(839)
    expect(new Set(delay)).toEqual(new Set([16, 17]))
  })

  it('shows the cine, with the mark in every frame', async () => {
    const cine = beatingRing('sax', 6)

    const pages = await pagesOf(await previewWebp(cine, 600))

    const mark = withMark(new Uint8Array(0), 1, 0, 320, 4)
    expect(pages).toHaveLength(6)
    for (const [frame, page] of pages.entries()) {
      expect(meanDifference(page.subarray(80 * 4 * 320), mark)).toBeLessThan(6)
      const centre = page[160 * 320 + 160]!
      expect(Math.abs(centre - cine.frames[frame * 6400 + 40 * 80 + 40]!)).toBeLessThan(8)
    }
  })

  it('keeps the edges of a frame apart from the next frame', async () => {
    const cine = beatingRing('sax', 4)
    for (let frame = 0; frame < 4; frame++)
      cine.frames.fill(frame % 2 === 0 ? 20 : 230, frame * 6400, (frame + 1) * 6400)

    const pages = await pagesOf(await previewWebp(cine, 600))

    expect(pages).toHaveLength(4)
    for (const [frame, page] of pages.entries()) {
      const rows = [0, 319].map((row) => page.subarray(row * 320, (row + 1) * 320))
      const grey = frame % 2 === 0 ? 20 : 230
      for (const row of rows) expect(meanDifference(row, new Uint8Array(320).fill(grey))).toBeLessThan(4)
    }
  })
})

/** Grey values of each frame with its mark, 320 a row. */
async function pagesOf(webp: Uint8Array): Promise<readonly Uint8Array[]> {
  const { data } = await sharp(webp, { animated: true }).extractChannel(0).raw().toBuffer({ resolveWithObject: true })
  const pitch = (80 + MARK_ROWS) * 4 * 320
  return Array.from({ length: data.length / pitch }, (_, page) => data.subarray(page * pitch, (page + 1) * pitch))
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length)
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length
}
