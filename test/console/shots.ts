/**
 * `npm run console:shots`: the pictures of docs/console.md, of a stack that this starts (or `CONSOLE_STACK`, see helpers/stack.ts) and of the demo ECG.
 * With `--all FOLDER`, each view in three sizes and two themes, to be looked at; with `--only NAME,NAME` these views, with `--in phone-dark` this size
 * and theme. `--language zh-CN` needs a font with its characters (fonts-noto-cjk).
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import type { Page } from 'playwright-core'
import { readRecording } from '../../streams/formats/index.ts'
import { streamRecording } from '../../streams/mqtt/device.ts'
import { DeviceLink } from '../../streams/mqtt/device-link.ts'
import { launchBrowser } from './helpers/chromium.ts'
import { demoFiles, screened, startConsoleStack } from './helpers/stack.ts'

const options = new Command('npm run console:shots --')
  .description('Takes the pictures of docs/console.md, of a local stack with the demo ECG.')
  .option('--all <folder>', 'each view in three sizes and two themes, into this folder')
  .option('--only <names>', 'only these views, separated by commas')
  .option('--in <size-theme>', 'only this size and theme, e.g. phone-dark')
  .option('--language <tag>', 'language of the page', 'en-GB')
  .parse()
  .opts<{ all?: string; only?: string; in?: string; language: string }>()
const { all, language, only } = options
const OUT = resolve(all ?? join(import.meta.dirname, '../../docs/console'))
const SIZES = {
  desktop: { width: 1440, height: 900 },
  tablet: { width: 820, height: 1180 },
  phone: { width: 390, height: 844 },
}
const THEMES = ['light', 'dark'] as const

interface View {
  readonly name: string
  readonly hash: string
  /** Whatever is seen once the view is there. */
  readonly ready: string
  readonly prepare?: (page: Page) => Promise<unknown>
  /** Looked at, and not in the documentation. */
  readonly isExtra?: boolean
}

/** The worker has drawn the traces. */
async function painted(page: Page): Promise<void> {
  await page.waitForFunction(() => performance.getEntriesByName('ecg-drawn').length > 0)
  await page.waitForTimeout(200)
}

async function explained(page: Page): Promise<void> {
  await page.locator('.paper').waitFor()
  await page.locator('.toolbar select').first().selectOption('cad')
  await page.locator('[data-explains=cad]').waitFor({ timeout: 90_000 })
}

async function bullsEye(page: Page): Promise<void> {
  const group = page.locator('[data-group=thickness]')
  await group.locator('summary').click()
  await group.locator('.bulls-eye').scrollIntoViewIfNeeded()
}

/** Waits until the cines of the seed are drawn, which happens once. */
async function draw(ecgId: string, seed: number): Promise<void> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ seed }) }
  let job = await (await fetch(`${stack.apiUrl}/v1/ecgs/${ecgId}/cmr`, init)).json()
  while (job.status !== 'done') {
    await new Promise((done) => setTimeout(done, 500))
    job = await (await fetch(`${stack.apiUrl}/v1/cmr/${job.jobId}`)).json()
  }
}

/** Two drawings, as an ECG has them that was open before. */
async function drawn(page: Page): Promise<void> {
  const ecgId = new URL(page.url()).hash.split('/').at(-1)!
  for (const seed of [0, 1]) await draw(ecgId, seed)
  await page.reload()
  const players = page.locator('.player[data-frames="50"]')
  await players.waitFor()
  await page.locator('.seeds button[aria-pressed=false]').click()
  await players.nth(1).waitFor()
  await page.locator('.drawn').first().scrollIntoViewIfNeeded()
}

/** As a site with an identity provider has it. */
async function signedOut(page: Page): Promise<void> {
  const identity = {
    issuer: 'http://127.0.0.1:1',
    clientId: 'console',
    audience: 'a',
    scope: 'openid',
    idleMinutes: 10,
  }
  await page.route('**/console.json', (route) => route.fulfill({ json: { identity } }))
  await page.reload()
  await page.locator('.gate button').waitFor()
  await page.unrouteAll({ behavior: 'wait' })
}

/** Leads without a signal. */
const FLAT = Buffer.from(['I,II,V1', ...Array.from({ length: 2500 }, () => '0,0,0')].join('\n'))

async function asModel(page: Page): Promise<void> {
  await page.locator('.paper').waitFor()
  await page.locator('.toolbar [data-model]').click()
  await page.locator('.legend .stressed').waitFor()
  await page.waitForTimeout(1000)
}

const stack = await startConsoleStack()
const browser = await launchBrowser()
try {
  await mkdir(OUT, { recursive: true })
  const id = await screened(stack.apiUrl)
  const link = await DeviceLink.open({ url: stack.mqttUrl, version: 4 })
  const recording = await readRecording(demoFiles()[0]!)
  const samples = resolve(import.meta.dirname, '../fixtures/samples')
  for (const name of ['left-bundle-branch-block', 'atrial-fibrillation']) {
    const other = await readRecording(join(samples, `${name}.hea`))
    await streamRecording(other, { link, tenant: 'local', device: 'bed-5', speed: Number.POSITIVE_INFINITY })
  }
  for (const device of ['bed-1', 'bed-2', 'bed-3', 'holter-7']) {
    await streamRecording(recording, { link, tenant: 'local', device, speed: Number.POSITIVE_INFINITY })
  }
  await link.close()
  const { items } = await (await fetch(`${stack.apiUrl}/v1/ecgs?device=bed-5`)).json()
  const beside: readonly string[] = items.map(({ ecgId }: { ecgId: string }) => ecgId)
  const flat = await fetch(`${stack.apiUrl}/v1/ecgs?rateHz=250&unit=mV&format=csv`, { method: 'POST', body: FLAT })
  const { ecgId: refused } = await flat.json()
  const ecg = { hash: `#/ecg/${id}`, ready: '.finding' }
  const views: readonly View[] = [
    { name: 'worklist', hash: '#/', ready: '.row' },
    { name: 'ecg', ...ecg, prepare: painted },
    { name: 'why', ...ecg, prepare: explained },
    { name: 'model', ...ecg, prepare: asModel, isExtra: true },
    { name: 'indices', ...ecg, prepare: (page) => page.locator('.indices').scrollIntoViewIfNeeded(), isExtra: true },
    { name: 'bulls-eye', ...ecg, prepare: bullsEye, isExtra: true },
    { name: 'cines', ...ecg, prepare: drawn, isExtra: true },
    {
      name: 'beside',
      hash: `#/ecg/${beside[0]}?beside=${beside[1]}`,
      ready: '.finding',
      prepare: painted,
      isExtra: true,
    },
    { name: 'refused', hash: `#/ecg/${refused}`, ready: '.refused-box', prepare: painted, isExtra: true },
    { name: 'sign-in', hash: '#/', ready: '.row', prepare: signedOut, isExtra: true },
    {
      name: 'single',
      hash: '#/live/bed-1',
      ready: '.leads .sweep',
      prepare: (page) => page.waitForTimeout(6_000),
      isExtra: true,
    },
    { name: 'unknown', hash: '#/ecg/00000000-0000-5000-8000-000000000000', ready: '.state', isExtra: true },
    // For most of a sweep.
    { name: 'live', hash: '#/live', ready: '.tile', prepare: (page) => page.waitForTimeout(9_000) },
    { name: 'operations', hash: '#/operations', ready: '.figures' },
    { name: 'runbook', hash: '#/operations/dlq-depth', ready: '.runbook p', isExtra: true },
  ]
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of THEMES) {
      if (all === undefined && (size !== 'desktop' || colorScheme !== 'light')) continue
      if (options.in !== undefined && !options.in.split(',').includes(`${size}-${colorScheme}`)) continue
      const context = await browser.newContext({
        viewport,
        colorScheme,
        locale: language,
        timezoneId: 'UTC',
        serviceWorkers: 'block',
      })
      const page = await context.newPage()
      page.setDefaultTimeout(180_000)
      for (const { name, hash, ready, prepare, isExtra } of views) {
        if (only === undefined ? isExtra && all === undefined : !only.split(',').includes(name)) continue
        await page.goto(`${stack.apiUrl}/${hash}`)
        await page.reload()
        await page.locator(ready).first().waitFor()
        await prepare?.(page)
        const suffix = all === undefined ? '' : `-${size}-${colorScheme}`
        await page.screenshot({ path: join(OUT, `${name}${suffix}.png`) })
      }
      await context.close()
    }
  }
} finally {
  await browser.close()
  await stack.stop()
}
console.log(`pictures in ${OUT}`)
process.exit(0)
