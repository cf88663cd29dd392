/** What a cardiologist does with an ECG: earlier ones beside it, calipers on an annotated record, orders of leads, files. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { readRecording } from '../../../streams/formats/index.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { waveAnnotations } from '../../helpers/wfdb-annotations.ts'
import { screened } from '../helpers/stack.ts'
import type { OnStack } from './on-stack.ts'

const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')
const PX_PER_MM = 96 / 25.4
/** Ten millimetres of pulse, then the traces. */
const LEFT_MM = 10
const FAST_MM_PER_S = 50
/** Where 0 mV of the rhythm strip lies, and half of its height. */
const STRIP_MM = { baseline: 110, half: 15 }

const LUDB_RECORD = '1'

/** Columns of the rhythm strip's R peaks on the screen, CSS pixels from the paper's left. */
async function drawnPeaks(page: Page, mostMs: number): Promise<number[]> {
  const tops = await page.evaluate(
    ({ top, bottom }) => {
      const trace = document.querySelectorAll<HTMLCanvasElement>('.paper canvas')[1]!
      const copy = document.createElement('canvas')
      ;[copy.width, copy.height] = [trace.width, trace.height]
      const context = copy.getContext('2d')!
      context.drawImage(trace, 0, 0)
      const { data } = context.getImageData(0, top, copy.width, bottom - top)
      return Array.from({ length: copy.width }, (_, x) => {
        for (let y = 0; y < bottom - top; y++) if (data[4 * (y * copy.width + x) + 3]! > 128) return y
        return bottom - top
      })
    },
    {
      top: Math.round((STRIP_MM.baseline - STRIP_MM.half) * PX_PER_MM),
      bottom: Math.round(STRIP_MM.baseline * PX_PER_MM),
    },
  )
  // Names and pulses stand left of the first second.
  const first = Math.round((LEFT_MM + 0.4 * FAST_MM_PER_S) * PX_PER_MM)
  const highest = Math.min(...tops.slice(first))
  const peaks: number[] = []
  for (let x = first; x < tops.length; x++) {
    if (tops[x]! > highest + 12) continue
    const near = peaks.at(-1)
    if (near === undefined || x - near > ((0.4 * mostMs) / 1000) * FAST_MM_PER_S * PX_PER_MM) peaks.push(x)
    else if (tops[x]! < tops[near]!) peaks[peaks.length - 1] = x
  }
  return peaks
}

export function ecgTools(on: () => OnStack): void {
  it.skipIf(!hasData)(`measures RR and QRS with calipers as cardiologists annotated them${NO_DATA}`, async () => {
    const { page, go, stack } = on()
    const stem = dataPath('ludb', 'data', LUDB_RECORD)
    const ecgId = await screened(stack.apiUrl, [`${stem}.hea`, `${stem}.dat`])
    const waves = waveAnnotations(`${stem}.ii`).filter(({ wave }) => wave === 'qrs')
    const at = (sample: number) => sample / 500
    await go(`#/ecg/${ecgId}`)
    await page.locator('.finding').first().waitFor()
    await page.getByRole('button', { name: '50 mm/s' }).click()
    await page.getByRole('button', { name: 'Calipers' }).click()
    const paper = page.locator('.paper')
    await paper.waitFor()
    const box = (await paper.boundingBox())!
    const y = box.y + STRIP_MM.baseline * PX_PER_MM
    const drag = async (from: number, to: number) => {
      await page.mouse.move(box.x + from, y)
      await page.mouse.down()
      await page.mouse.move(box.x + to, y, { steps: 3 })
      await page.mouse.up()
      return Number(await page.locator('.caliper-reading').getAttribute('data-ms'))
    }
    const x = (s: number) => (LEFT_MM + s * FAST_MM_PER_S) * PX_PER_MM
    // A pixel is 5.3 ms at 50 mm/s, and a sample 2 ms.
    const pixelMs = 1000 / (FAST_MM_PER_S * PX_PER_MM)

    // Beats that are on the screen, by the annotators and as they are drawn.
    const seen = waves.filter(({ peak }) => at(peak) > 0.5 && x(at(peak)) < 900)
    const rrMs = 1000 * (at(seen[1]!.peak) - at(seen[0]!.peak))
    const peaks = await drawnPeaks(page, rrMs)
    const [first, second] = seen.map(({ peak }) =>
      peaks.toSorted((a, b) => Math.abs(a - x(at(peak))) - Math.abs(b - x(at(peak)))).at(0),
    )
    for (const [i, px] of [first!, second!].entries())
      expect(Math.abs(px - x(at(seen[i]!.peak)))).toBeLessThanOrEqual(2)
    expect(Math.abs((await drag(first!, second!)) - rrMs)).toBeLessThanOrEqual(2 * pixelMs + 2)

    const { onset = 0, end = 0 } = seen[1]!
    const qrs = await drag(x(at(onset)), x(at(end)))
    expect(Math.abs(qrs - 1000 * at(end - onset))).toBeLessThanOrEqual(pixelMs + 2)

    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: '25 mm/s' }).click()
  })

  it('marches a caliper out over the row at equal distances', async () => {
    const { page, go, ecgId } = on()
    await go(`#/ecg/${ecgId}`)
    await page.locator('.finding').first().waitFor()
    await page.getByRole('button', { name: 'Calipers' }).click()
    const box = (await page.locator('.paper').boundingBox())!
    const y = box.y + STRIP_MM.baseline * PX_PER_MM
    const x = (s: number) => box.x + (LEFT_MM + 25 * s) * PX_PER_MM
    await page.mouse.move(x(2), y)
    await page.mouse.down()
    await page.mouse.move(x(2.8), y, { steps: 3 })
    await page.mouse.up()
    await page.keyboard.press('m')

    await page.locator('.march').nth(9).waitFor({ state: 'attached' })
    const marks = await page
      .locator('.march')
      .evaluateAll((all) => all.map((mark) => Number(/M([\d.-]+)/.exec(mark.getAttribute('d')!)![1])))
    const ms = Number(await page.locator('.caliper-reading').getAttribute('data-ms'))
    for (const [i, mm] of marks.slice(1).entries()) expect(mm - marks[i]!).toBeCloseTo((25 * ms) / 1000, 3)
    await page.keyboard.press('m')
    await page.keyboard.press('Escape')
    expect(await page.locator('.calipers').count()).toBe(0)
  })

  it('orders the limb leads by Cabrera, on screen and in the saved SVG, which is in millimetres', async () => {
    const { page, go, ecgId } = on()
    await go(`#/ecg/${ecgId}`)
    await page.locator('.finding').first().waitFor()
    await page.getByRole('button', { name: '6×2' }).click()
    await page.getByRole('button', { name: 'Cabrera' }).click()

    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Save as SVG' }).click()
    const svg = readFileSync(await (await download).path(), 'utf8')

    const names = [...svg.matchAll(/<text [^>]*>([^<]*)</g)].map(([, name]) => name!.trim())
    const leads = names.filter((name) => /^(−?aV[RLF]|I{1,3}|V[1-6])$/.test(name))
    expect(leads).toEqual(['aVL', 'I', '−aVR', 'II', 'aVF', 'III', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'])
    expect(svg).toMatch(/width="265mm"/)
    expect(svg).toContain('Investigational')
    await page.getByRole('button', { name: 'Cabrera' }).click()
    await page.getByRole('button', { name: '3×4+1' }).click()
  })

  it('compares with an earlier ECG of the same patient, names one of another patient, and shows the trend', async () => {
    const { page, go, stack } = on()
    const link = await DeviceLink.open({ url: stack.mqttUrl, version: 4 })
    // Of its own also on a stack that runs already.
    const device = `bed-${randomUUID().slice(0, 8)}`
    const ids: string[] = []
    const cart = `cart-${randomUUID().slice(0, 8)}`
    const list = async (): Promise<string[]> => {
      const lists = [device, cart].map(async (of) => {
        const { items } = await (await fetch(`${stack.apiUrl}/v1/ecgs?device=${of}`)).json()
        return items.map(({ ecgId }: { ecgId: string }) => ecgId)
      })
      return (await Promise.all(lists)).flat()
    }
    const stream = async (name: string, from = device) => {
      const recording = await readRecording(resolve(SAMPLES, `${name}.hea`))
      await streamRecording(recording, { link, tenant: 'local', device: from, speed: Number.POSITIVE_INFINITY })
      await expect.poll(async () => (await list()).length, { timeout: 60_000 }).toBe(ids.length + 1)
      ids.push((await list()).find((id) => !ids.includes(id))!)
    }
    const wear = async (of: string, from: string) => {
      const put = await fetch(`${stack.apiUrl}/v1/devices/${of}/association`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ patient: 'Patient/77', from }),
      })
      expect(put.status).toBe(200)
    }
    // One before the device was on the patient, one of the patient from another device, three while it was.
    await stream('normal')
    const from = new Date().toISOString()
    await wear(cart, from)
    await wear(device, from)
    await stream('normal', cart)
    for (const name of ['atrial-fibrillation', 'left-bundle-branch-block', 'normal']) await stream(name)
    await link.close()
    const newest = ids.at(-1)!

    await go(`#/ecg/${newest}`)
    await page.locator('.banner', { hasText: 'Patient/77' }).waitFor()
    const select = page.getByLabel('Compare with an earlier ECG')
    await select.waitFor()
    const groups = await select
      .locator('optgroup')
      .evaluateAll((all) =>
        all.map((group) => [
          group.getAttribute('label'),
          [...group.children].map((each) => (each as HTMLOptionElement).value),
        ]),
      )
    expect(groups).toEqual([
      ['This patient', [ids[3], ids[2], ids[1]]],
      ['Another or unknown patient', [ids[0]]],
    ])
    expect(await select.locator(`option[value="${ids[1]}"]`).textContent()).toContain(cart)

    // Over it: more ink on the same paper. Below it: a second paper.
    const ink = () =>
      page.evaluate(() => document.querySelectorAll<HTMLCanvasElement>('.paper canvas')[1]!.toDataURL().length)
    await page.waitForFunction(() => performance.getEntriesByName('ecg-drawn').length > 0)
    const before = await ink()
    await select.selectOption(ids[3]!)
    await expect.poll(ink, { timeout: 20_000 }).toBeGreaterThan(before + 1000)
    expect(page.url()).toContain(`beside=${ids[3]}`)
    await page.getByRole('button', { name: 'Below' }).click()
    await page.locator('.paper').nth(1).waitFor()
    expect(await page.locator('.strip-title').textContent()).toContain('Earlier')
    expect(await page.locator('.toolbar .unidentified').count()).toBe(0)
    await select.selectOption(ids[0]!)
    await page.locator('.toolbar .unidentified', { hasText: 'Another or unknown patient' }).waitFor()

    // The trend is the patient's, from both devices, so the ECG from before is not in it.
    const trend = page.locator('.trends')
    await trend.waitFor()
    expect(await trend.locator('h2').textContent()).toContain('last 4 of Patient/77')
    expect(await trend.locator('.trend').first().locator('circle').count()).toBe(4)
    expect(await trend.locator('.trend').first().locator('circle.here').count()).toBe(1)
  })
}
