/**
 * A browser for tests of the console, on Debian's chromium.
 * @module
 */
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll } from 'vitest'
import { launchBrowser } from './chromium.ts'

export { hasBrowser, NO_BROWSER } from './chromium.ts'

let browser: Promise<Browser> | undefined

afterAll(async () => (await browser)?.close())

export interface Opened {
  readonly page: Page
  /** What the page complained of: breaches of its policy and errors that nobody caught. */
  readonly complaints: string[]
  /** Requests to any address but its own. */
  readonly foreign: string[]
}

/** A page with nothing kept from any other. */
export async function openPage(origin: string, options: BrowserContextOptions = {}): Promise<Opened> {
  browser ??= launchBrowser()
  const context = await (await browser).newContext({
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    // What a test answers in the API's place must not pass by a worker.
    serviceWorkers: 'block',
    ...options,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const [complaints, foreign]: [string[], string[]] = [[], []]
  page.on('pageerror', ({ message }) => complaints.push(message))
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text())
  })
  page.on('request', (request) => {
    const { origin: asked, protocol } = new URL(request.url())
    if (asked !== origin && protocol.startsWith('http')) foreign.push(request.url())
  })
  return { page, complaints, foreign }
}
