/**
 * What a reader does with the page where frames are dearest: a strip of ten minutes, a wall of 64 tiles, a worklist of a hundred thousand rows.
 * @module
 */
import type { Browser, Page } from 'playwright-core'
import { type FakeOptions, startFakeApi } from './fake-api.ts'
import { workByFrame } from './frames.ts'

export interface Scene {
  readonly name: string
  readonly api: FakeOptions
  readonly hash: string
  readonly ready: (page: Page) => Promise<unknown>
  /** @param steps how long it goes on, in movements of a hand */
  readonly act: (page: Page, steps: number) => Promise<unknown>
}

/** Of a wide page's worklist. */
const ROW_PX = 44

const ECG = '#/ecg/00000000-0000-5000-8000-000000000000'
const TEN_MINUTES = { seconds: 600 }

/** All twelve leads, one below the other, every sample here. */
async function wholeStrip(page: Page): Promise<void> {
  await page.locator('.overview').waitFor()
  await page.getByRole('button', { name: '12×1' }).click()
  await page.locator('.paper[data-loaded="600"]').waitFor()
}

async function middleOf(page: Page): Promise<readonly [number, number]> {
  const box = (await page.locator('.paper').boundingBox())!
  return [box.x + box.width / 2, Math.min(box.y + box.height / 2, 600)]
}

/** Turns the wheel over the paper with Ctrl held, a step at a time. */
async function zoom(page: Page, steps: number, deltaOf: (step: number) => number): Promise<void> {
  const [x, y] = await middleOf(page)
  await page.mouse.move(x, y)
  await page.keyboard.down('Control')
  for (let step = 0; step < steps; step++) await page.mouse.wheel(0, deltaOf(step))
  await page.keyboard.up('Control')
}

const MANY = 100_000

/** Reads the worklist to its end, page by page, and goes to its middle. */
async function allRows(page: Page): Promise<void> {
  await page.locator('.row').first().waitFor()
  await page.evaluate(async (wanted) => {
    const rows = document.querySelector('.rows')!
    while (rows.scrollHeight < wanted) {
      rows.scrollTop = rows.scrollHeight
      await new Promise((done) => setTimeout(done, 5))
    }
    rows.scrollTop /= 2
  }, MANY * ROW_PX)
}

export const SCENES: readonly Scene[] = [
  {
    name: '10 min, 12 leads: pan',
    api: TEN_MINUTES,
    hash: ECG,
    ready: wholeStrip,
    act: async (page, steps) => {
      const [x, y] = await middleOf(page)
      await page.mouse.move(x, y)
      await page.mouse.down()
      for (let i = 0; i < steps; i++) await page.mouse.move(x - 200 * Math.sin(i / 12), y)
      await page.mouse.up()
    },
  },
  {
    name: '10 min, 12 leads: zoom',
    api: TEN_MINUTES,
    hash: ECG,
    ready: wholeStrip,
    act: (page, steps) => zoom(page, steps, (i) => 40 * Math.sign(Math.cos(i / 20))),
  },
  {
    name: '10 min, 12 leads: pan over all of it',
    api: TEN_MINUTES,
    hash: ECG,
    ready: async (page) => {
      await wholeStrip(page)
      await page.getByRole('button', { name: '10 min' }).click()
    },
    act: (page, steps) => zoom(page, steps, (i) => 4 * Math.sign(Math.cos(i / 8))),
  },
  {
    name: '64 live tiles',
    api: { devices: 64 },
    hash: '#/live',
    ready: (page) => page.locator('.wall[data-cells="64"]').waitFor(),
    act: (page, steps) => page.waitForTimeout(steps * 50),
  },
  {
    name: '100,000 rows: scroll',
    api: { ecgs: MANY },
    hash: '#/',
    ready: allRows,
    act: async (page, steps) => {
      await page.locator('.rows').hover()
      for (let i = 0; i < steps; i++) await page.mouse.wheel(0, 400)
    },
  },
]

/** Plays a scene on a page of its own. Returns the CPU time of the page's main thread a frame, ms. */
export async function measure(scene: Scene, browser: Browser, steps: number): Promise<readonly number[]> {
  const api = await startFakeApi(scene.api)
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, serviceWorkers: 'block' })
  try {
    const page = await context.newPage()
    await page.goto(`${api.url}/${scene.hash}`)
    await scene.ready(page)
    return await workByFrame(page, () => scene.act(page, steps))
  } finally {
    await context.close()
    await api.close()
  }
}
