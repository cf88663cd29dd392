/** ECGs that are not as one would like them: each is a state of its own, with words that say what to do. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { job as cine } from './cines.ts'
import { csv, drop, type OnStack } from './on-stack.ts'

const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')
const sample = (name: string) => ({ name, bytes: readFileSync(resolve(SAMPLES, name)) })

/** One beat a second, as rough as a heart is drawn by a child. */
function beat(i: number, rateHz: number): number {
  const t = (i % rateHz) / rateHz
  const wave = (at: number, width: number, height: number) => height * Math.exp(-(((t - at) / width) ** 2))
  return wave(0.2, 0.025, 0.12) + wave(0.36, 0.012, 1.1) - wave(0.39, 0.012, 0.25) + wave(0.62, 0.05, 0.3)
}

/** Sends a file by the API, as another system would. @returns the ECG's id once its result is there */
async function sent(apiUrl: string, bytes: Buffer, query: string): Promise<string> {
  const taken = await fetch(`${apiUrl}/v1/ecgs?${query}`, { method: 'POST', body: new Uint8Array(bytes) })
  expect(taken.status).toBe(202)
  const { ecgId } = (await taken.json()) as { ecgId: string }
  await expect
    .poll(async () => (await fetch(`${apiUrl}/v1/ecgs/${ecgId}`)).status, { timeout: 90_000, interval: 100 })
    .toBe(200)
  return ecgId
}

export function badInput(on: () => OnStack): void {
  it('accepts several DICOM, SCP and WFDB files by drag and drop, and links each to its ECG', async () => {
    const { page, go } = on()
    await go('#/')
    await page.locator('.row').first().waitFor()

    await drop(page, [sample('normal.dcm'), sample('normal.scp'), sample('normal.hea'), sample('normal.dat')])

    await page.locator('.uploads li.taken').nth(2).waitFor({ timeout: 60_000 })
    expect(await page.locator('.uploads li').allTextContents()).toEqual(
      ['normal.dcm', 'normal.scp', 'normal.hea + normal.dat'].map((name) => expect.stringContaining(name)),
    )
    expect(await page.locator('.uploads li.refused').count()).toBe(0)
    await page.locator('.uploads li.taken a').first().click()
    await page.locator('.finding').first().waitFor({ timeout: 60_000 })
  })

  it('shows two leads and those derived from them, and marks the others as not recorded', async () => {
    const { page, go, stack } = on()
    const rateHz = 250
    const two = csv(['I', 'II'], 10, rateHz, (lead, i) => (lead === 0 ? 0.6 : 1) * beat(i, rateHz))
    const id = await sent(stack.apiUrl, two, `rateHz=${rateHz}&unit=mV&format=csv`)

    await go(`#/ecg/${id}`)

    await page.locator('.paper canvas').first().waitFor()
    const leads = page.locator('.quality li')
    await leads.first().waitFor()
    const said = (await leads.allTextContents()).join(' ')
    for (const lead of ['V1', 'V2', 'V3', 'V4', 'V5', 'V6']) expect(said).toMatch(new RegExp(`${lead} ?not recorded`))
  })

  it('shows the first page of a ten-minute ECG at once, and pages through the rest', async () => {
    const { page, go, stack } = on()
    const rateHz = 100
    const long = csv(['I', 'II', 'V2'], 600, rateHz, (_, i) => beat(i, rateHz))
    const id = await sent(stack.apiUrl, long, `rateHz=${rateHz}&unit=mV&format=csv`)

    await go(`#/ecg/${id}`)

    await page.locator('.overview').waitFor()
    await page.locator('.legend', { hasText: '600.0 s' }).waitFor()
    await page.locator('.paper').focus()
    await page.keyboard.press('Shift+ArrowRight')
    await page.locator('.legend', { hasText: '10.00–20.00 s' }).waitFor()
  })

  it('explains a refused ECG and what to do at the bedside', async () => {
    const { page, go, stack } = on()
    const flat = csv(['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'], 10, 250, () => 0)
    const id = await sent(stack.apiUrl, flat, 'rateHz=250&unit=mV&format=csv')

    await go(`#/ecg/${id}`)

    await page.locator('.refused-box').waitFor()
    expect(await page.locator('.refused-box').textContent()).toContain('Check the cables and record again')
    expect(await page.locator('.finding').count()).toBe(0)
    expect(await page.getByRole('button', { name: 'Draw cines' }).count()).toBe(0)
  })

  it('shows a result of an older schema', async () => {
    const { page, go, ecgId } = on()
    await page.route(`**/v1/ecgs/${ecgId}`, async (route) => {
      const result = await (await route.fetch()).json()
      for (const name of ['version', 'warnings', 'measurements', 'ood']) delete result[name]
      for (const finding of result.findings) delete finding.borderline
      await route.fulfill({ json: result })
    })

    await page.route(`**/v1/ecgs/${ecgId}/cmr`, (route) => route.fulfill({ json: { items: [cine(ecgId, 0)] } }))

    await go(`#/ecg/${ecgId}`)
    await page.reload()

    await page.locator('.finding').first().waitFor()
    expect(await page.locator('.measured').textContent()).toContain('has no intervals')
    // It is the first version, and so is what was drawn from it.
    await page.getByRole('button', { name: 'Draw another (seed 1)' }).waitFor()
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('reports that another user deleted the open ECG', async () => {
    const { page, go, stack } = on()
    const bytes = csv(['I', 'II', 'V1'], 10, 250, (_, i) => 0.9 * beat(i, 250))
    const id = await sent(stack.apiUrl, bytes, 'rateHz=250&unit=mV&format=csv')
    await go(`#/ecg/${id}`)
    await page.locator('.quality li').first().waitFor()

    await fetch(`${stack.apiUrl}/v1/ecgs/${id}`, { method: 'DELETE' })
    await page.evaluate(() => window.dispatchEvent(new Event('focus')))

    await page.getByText('This ECG was deleted').waitFor()
  })

  it('shows markup in device and patient names as text', async () => {
    const { page, go, ecgId, opened } = on()
    const markup = '<img src=x onerror=alert(1)>'
    await page.route('**/v1/ecgs?*', async (route) => {
      const { items = [], ...list } = await (await route.fetch()).json()
      await route.fulfill({ json: { ...list, items: items.map((item: object) => ({ ...item, device: markup })) } })
    })
    await page.route(`**/v1/ecgs/${ecgId}/subject`, (route) =>
      route.fulfill({ json: { source: 'mqtt', device: markup, patient: `Patient/${markup}` } }),
    )

    await go('#/')
    await page.reload()
    await page.locator('.row', { hasText: '<img src=x' }).first().waitFor()
    await go(`#/ecg/${ecgId}`)
    await page.locator('.banner', { hasText: '<img src=x' }).waitFor()

    expect(await page.locator('img').count()).toBe(0)
    expect(opened.complaints).toEqual([])
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('reports a token that expires during a stream', async () => {
    const { page, go } = on()
    await go('#/')
    await page.locator('.feed-live').waitFor()
    const refusal = {
      status: 401,
      headers: { 'content-type': 'application/problem+json' },
      body: JSON.stringify({ code: 'token-invalid', status: 401, field: 'exp' }),
    }
    await page.route('**/v1/**', (route) => route.fulfill(refusal))

    await page.reload()

    await page.getByText('Your sign-in has ended. Sign in again.').waitFor()
    await page.unrouteAll({ behavior: 'wait' })
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.locator('.row').first().waitFor()
  })
}
