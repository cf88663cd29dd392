/** What the suites of `console.test.ts` share: one local stack, one page. */
import type { Page } from 'playwright-core'
import type { Opened } from '../helpers/browser.ts'
import type { ConsoleStack } from '../helpers/stack.ts'

export interface OnStack {
  readonly stack: ConsoleStack
  readonly opened: Opened
  readonly page: Page
  /** Of an ECG that was screened. */
  readonly ecgId: string
  go(hash: string): Promise<void>
}

/** Drops files on the page, as somebody's hand would. */
export async function drop(page: Page, files: readonly { readonly name: string; readonly bytes: Buffer }[]) {
  const parts = files.map(({ name, bytes }) => [name, bytes.toString('base64')] as const)
  const transfer = await page.evaluateHandle((all) => {
    const data = new DataTransfer()
    for (const [name, base64] of all) {
      data.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name))
    }
    return data
  }, parts)
  await page.dispatchEvent('body', 'drop', { dataTransfer: transfer })
}

/** Samples as a CSV file: a column a lead, mV. */
export function csv(
  leads: readonly string[],
  seconds: number,
  rateHz: number,
  value: (lead: number, i: number) => number,
) {
  const rows = Array.from({ length: seconds * rateHz }, (_, i) =>
    leads.map((_, lead) => value(lead, i).toFixed(3)).join(','),
  )
  return Buffer.from([leads.join(','), ...rows].join('\n'))
}
