/** Where things are on the screen: on phones and monitors, in states that have little to show, and with long texts. */
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { openPage } from '../helpers/browser.ts'
import { csv, drop, type OnStack } from './on-stack.ts'

const PHONE = { width: 390, height: 844 }
const MONITOR = { width: 1440, height: 900 }

const boxOf = async (page: Page, selector: string) => (await page.locator(selector).first().boundingBox())!

/** The page itself has nowhere to scroll, and its notice is at the bottom of the screen. */
async function expectNoticeInPlace(page: Page): Promise<void> {
  const seen = await page.evaluate(() => {
    const { scrollHeight, clientHeight } = document.scrollingElement!
    const notice = document.querySelector('.notice')!.getBoundingClientRect()
    return { below: scrollHeight - clientHeight, bottom: Math.round(notice.bottom - innerHeight), y: scrollY }
  })
  expect(seen).toEqual({ below: 0, bottom: 0, y: 0 })
}

export function layout(on: () => OnStack): void {
  it.each([PHONE, MONITOR])('shows an empty list across the whole page ($width px)', async (viewport) => {
    const { stack } = on()
    const { page } = await openPage(stack.apiUrl, { viewport })
    await page.goto(`${stack.apiUrl}/#/`)
    await page.locator('.row').first().waitFor()

    await page.locator('.filters input[type=search]').fill('no-such-device')
    await page.locator('.worklist > .state').waitFor()

    expect((await boxOf(page, '.filters')).width).toBe(viewport.width)
    const { x, width } = await boxOf(page, '.worklist > .state')
    expect(Math.abs(x + width / 2 - viewport.width / 2)).toBeLessThan(2)
    await page.context().close()
  })

  it.each(['#/', '#/live', '#/operations', '#/operations/dlq-depth', 'ecg'])(
    'keeps the notice on a phone’s screen, wherever the view is scrolled to: %s',
    async (hash) => {
      const { stack, ecgId } = on()
      const { page } = await openPage(stack.apiUrl, { viewport: PHONE })
      await page.goto(`${stack.apiUrl}/${hash === 'ecg' ? `#/ecg/${ecgId}` : hash}`)
      await page.locator(hash === 'ecg' ? '.provenance' : '#main').waitFor()
      await page.waitForTimeout(500)

      await expectNoticeInPlace(page)
      await page.evaluate(() => {
        for (const element of document.querySelectorAll('#main *')) element.scrollIntoView()
      })
      await expectNoticeInPlace(page)
      await page.context().close()
    },
  )

  it('shows findings and measurements before the drawn heart on a phone', async () => {
    const { stack, ecgId } = on()
    const { page } = await openPage(stack.apiUrl, { viewport: PHONE })
    await page.goto(`${stack.apiUrl}/#/ecg/${ecgId}`)
    await page.locator('.cines').waitFor()

    const tops = await Promise.all(
      ['.paper', '.findings', '.measured', '.cines', '.quality'].map(async (part) => (await boxOf(page, part)).y),
    )
    expect(tops).toEqual(tops.toSorted((a, b) => a - b))
    // With room for two columns it is below the paper.
    await page.setViewportSize(MONITOR)
    await page.locator('.ecg-paper .cines').waitFor()
    expect(await page.locator('.cines').count()).toBe(1)
    await page.context().close()
  })

  it.each([
    [1920, 'beside'],
    [1440, 'below'],
  ] as const)('gives the indices a column of their own on a wide monitor (%i px: %s)', async (width, place) => {
    const { stack, ecgId } = on()
    const { page } = await openPage(stack.apiUrl, { viewport: { width, height: 1000 } })
    await page.goto(`${stack.apiUrl}/#/ecg/${ecgId}`)
    await page.locator('.indices').waitFor()

    const [findings, indices, measured] = [
      await boxOf(page, '.findings'),
      await boxOf(page, '.indices'),
      await boxOf(page, '.measured'),
    ]
    expect(indices.x >= findings.x + findings.width ? 'beside' : 'below').toBe(place)
    // No gap between the sections of the first column.
    expect(Math.abs(measured.y - findings.y - findings.height)).toBeLessThan(1)
    expect((await boxOf(page, '.strip')).x).toBe((await boxOf(page, '.toolbar')).x)
    await page.context().close()
  })

  it('keeps the head of an ECG on one line on a tablet, whatever the device’s name', async () => {
    const { stack, ecgId } = on()
    const { page } = await openPage(stack.apiUrl, { viewport: { width: 820, height: 1180 } })
    const device = 'st-elsewhere-emergency-department-resuscitation-bay-07-cart-0042'
    await page.route(`**/v1/ecgs/${ecgId}/subject`, (route) => route.fulfill({ json: { source: 'mqtt', device } }))
    await page.goto(`${stack.apiUrl}/#/ecg/${ecgId}`)
    await page.locator('.banner', { hasText: device }).waitFor()

    const [banner, button] = [
      await boxOf(page, '.banner'),
      (await page.getByRole('button', { name: 'Delete ECG' }).boundingBox())!,
    ]
    expect(button.x).toBeGreaterThanOrEqual(banner.x + banner.width)
    expect(button.x + button.width).toBeLessThanOrEqual(820)
    await page.unrouteAll({ behavior: 'wait' })
    await page.context().close()
  })

  it('prints on white paper in the dark theme as well, margins included', async () => {
    const { stack, ecgId } = on()
    const { page } = await openPage(stack.apiUrl, { colorScheme: 'dark' })
    await page.goto(`${stack.apiUrl}/#/ecg/${ecgId}`)
    await page.locator('.paper').waitFor()
    const scheme = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)
    expect(await scheme()).toBe('dark')

    await page.emulateMedia({ media: 'print' })

    expect(await scheme()).toBe('light')
    expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe('rgb(255, 255, 255)')
    await page.context().close()
  })

  it('shows what the calipers measure on the part of the paper that a phone shows', async () => {
    const { stack, ecgId } = on()
    const { page } = await openPage(stack.apiUrl, { viewport: PHONE })
    await page.goto(`${stack.apiUrl}/#/ecg/${ecgId}`)
    await page.locator('.finding').first().waitFor()
    await page.keyboard.press('c')
    const { x, y } = await boxOf(page, '.paper')

    for (const [from, to] of [
      [200, 340],
      [60, 100],
      [20, 350],
    ] as const) {
      await page.mouse.move(x + from, y + 80)
      await page.mouse.down()
      await page.mouse.move(x + to, y + 60, { steps: 3 })
      await page.mouse.up()
      const reading = await boxOf(page, '.caliper-reading')
      expect(reading.x).toBeGreaterThanOrEqual(0)
      expect(reading.x + reading.width).toBeLessThanOrEqual(PHONE.width)
    }
    await page.context().close()
  })

  it('states the limit of a refused upload with its unit', async () => {
    const { page, go } = on()
    await go('#/')
    await page.route('**/v1/ecgs', (route) =>
      route.fulfill({
        status: 413,
        json: { code: 'payload-too-large', status: 413, field: 'duration', maxSeconds: 3600 },
      }),
    )

    await drop(page, [{ name: 'long.dcm', bytes: Buffer.from('x') }])

    await page.locator('.uploads .why', { hasText: 'limit 60 min' }).waitFor()
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('keeps a withheld finding and its reason within the panel', async () => {
    const { page, go, ecgId } = on()
    await page.route(`**/v1/ecgs/${ecgId}`, async (route) => {
      const result = await (await route.fetch()).json()
      const findings = result.findings.map((finding: object) => ({
        ...finding,
        withheld: { reason: 'electrodes-exchanged' },
      }))
      await route.fulfill({ json: { ...result, findings } })
    })
    await go(`#/ecg/${ecgId}`)
    await page.reload()
    await page.locator('.finding.withheld').first().waitFor()

    const beyond = await page.locator('.finding .line').evaluateAll((lines) =>
      lines.flatMap((line) => {
        const { right } = line.getBoundingClientRect()
        return [...line.children].filter((part) => part.getBoundingClientRect().right > right + 0.5)
      }),
    )
    expect(beyond).toEqual([])
    expect(await page.locator('.finding .value').count()).toBe(0)
    await page.unrouteAll({ behavior: 'wait' })
    await page.reload()
  })

  it('says of a refused ECG the same on paper and beside it, without measurements that there are none of', async () => {
    const { page, go, stack } = on()
    const flat = csv(['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'], 10, 250, () => 0)
    const query = 'rateHz=250&unit=mV&format=csv'
    const taken = await fetch(`${stack.apiUrl}/v1/ecgs?${query}`, { method: 'POST', body: new Uint8Array(flat) })
    const { ecgId } = (await taken.json()) as { ecgId: string }

    await go(`#/ecg/${ecgId}`)

    await page.locator('.refused-box').waitFor({ timeout: 60_000 })
    const leads = await page.locator('.quality li').allTextContents()
    expect(leads.filter((text) => text.includes('derived'))).toEqual(
      ['III', 'aVR', 'aVL', 'aVF'].map((lead) => `${lead}derived`),
    )
    expect(await page.locator('.measured').count()).toBe(0)
    // The list has only the time of its arrival.
    expect(await page.locator('.ecg-head h1').textContent()).toBe('ECG time not known')
    await go('#/')
    await page.locator(`.row[data-ecg="${ecgId}"]`, { hasText: 'file without a time' }).waitFor()
  })
}
