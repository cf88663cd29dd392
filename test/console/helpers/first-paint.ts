/**
 * How long an ECG takes to be seen.
 * @module
 */
import type { Browser } from 'playwright-core'

/** From the address to the first trace drawn, ms, in a browser that has nothing of the page yet. */
export async function firstPaint(browser: Browser, apiUrl: string, ecgId: string): Promise<number> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  await page.goto(`${apiUrl}/#/ecg/${ecgId}`)
  const drawn = await page.waitForFunction(() => performance.getEntriesByName('ecg-drawn')[0]?.startTime, undefined, {
    polling: 100,
  })
  const ms = (await drawn.jsonValue()) ?? Number.NaN
  await page.close()
  return ms
}
