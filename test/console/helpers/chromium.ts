/**
 * Debian's chromium, for tests and for commands.
 * @module
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'

export const hasBrowser = existsSync(CHROMIUM)

/** For the name of a suite that `describe.skipIf(!hasBrowser)` skips. */
export const NO_BROWSER = hasBrowser
  ? ''
  : ` (skipped: no browser at ${CHROMIUM}; apt-get install chromium, or set CHROMIUM)`

export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
