/**
 * Debian's chromium, for tests and for commands.
 * @module
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

/** The same engine without a window, which takes less than half of the CPU (22 s or 9 s for six pages), where it is installed. */
const SHELL = '/usr/bin/chromium-headless-shell'

const CHROMIUM = process.env.CHROMIUM ?? (existsSync(SHELL) ? SHELL : '/usr/bin/chromium')

export const hasBrowser = existsSync(CHROMIUM)

/** For the name of a suite that `describe.skipIf(!hasBrowser)` skips. */
export const NO_BROWSER = hasBrowser
  ? ''
  : ` (skipped: no browser at ${CHROMIUM}; apt-get install chromium-headless-shell or chromium, or set CHROMIUM)`

export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
