/**
 * `npm run console:shots`: the pictures of docs/console.md, of a stack that this starts (or `CONSOLE_STACK`, see helpers/stack.ts) and of the demo ECG.
 * @module
 */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { chromium } from 'playwright-core'
import { readRecording } from '../../streams/formats/index.ts'
import { DeviceLink, streamRecording } from '../../streams/mqtt/device.ts'
import { demoFiles, screened, startConsoleStack } from './helpers/stack.ts'

const OUT = resolve(import.meta.dirname, '../../docs/console')
const SIZES = {
  desktop: { width: 1440, height: 900 },
  tablet: { width: 820, height: 1180 },
  phone: { width: 390, height: 844 },
}
const THEMES = ['light', 'dark'] as const

const stack = await startConsoleStack()
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})
try {
  await mkdir(OUT, { recursive: true })
  const id = await screened(stack.apiUrl)
  const link = await DeviceLink.open({ url: stack.mqttUrl, version: 4 })
  const recording = await readRecording(demoFiles()[0]!)
  for (const device of ['bed-1', 'bed-2', 'bed-3', 'holter-7']) {
    await streamRecording(recording, { link, tenant: 'local', device, speed: Number.POSITIVE_INFINITY })
  }
  await link.close()
  const views = [
    { name: 'worklist', hash: '#/', ready: '.row' },
    { name: 'ecg', hash: `#/ecg/${id}`, ready: '.finding' },
    { name: 'live', hash: '#/live', ready: '.tile' },
  ]
  // One picture a view in the documentation; with --all each view in each size and theme, to be looked at.
  const all = process.argv.includes('--all')
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of THEMES) {
      if (!all && (size !== 'desktop' || colorScheme !== 'light')) continue
      const context = await browser.newContext({ viewport, colorScheme, locale: 'en-GB', timezoneId: 'UTC' })
      const page = await context.newPage()
      for (const { name, hash, ready } of views) {
        await page.goto(`${stack.apiUrl}/${hash}`)
        await page.locator(ready).first().waitFor()
        if (name === 'ecg') await page.locator('.paper').waitFor()
        if (name === 'live') await page.waitForTimeout(9_000) // for most of a sweep
        await page.screenshot({ path: join(OUT, all ? `${name}-${size}-${colorScheme}.png` : `${name}.png`) })
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
