/** Every view in both themes and without motion, and the states of tiles, filters and findings that no stack makes by itself. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { openPage } from '../helpers/browser.ts'
import { screened } from '../helpers/stack.ts'
import { csv, type OnStack } from './on-stack.ts'

const AXE = readFileSync(resolve(import.meta.dirname, '../../../node_modules/axe-core/axe.min.js'), 'utf8')
const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[]
}

/** What axe finds, by the debugger, which no policy of the page binds. Only colours differ between the themes. */
async function breaches(page: Page, runOnly: readonly string[]): Promise<string[]> {
  await page.evaluate(AXE)
  return page.evaluate(async (wanted) => {
    const run = (window as unknown as { axe: { run: (options: object) => Promise<AxeResults> } }).axe.run
    const { violations } = await run({ runOnly: wanted })
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`)
  }, runOnly)
}

/** A device of which there is an ECG. */
async function aDevice(apiUrl: string): Promise<string> {
  const { items } = await (await fetch(`${apiUrl}/v1/ecgs?limit=100`)).json()
  const known = items.find(({ device }: { device?: string }) => device !== undefined)
  if (known !== undefined) return known.device
  const stem = resolve(SAMPLES, 'normal')
  await screened(apiUrl, [`${stem}.hea`, `${stem}.dat`], '?device=bed-1')
  return 'bed-1'
}

/** An ECG without a signal, once its refusal is listed. */
async function refusedEcg(apiUrl: string): Promise<string> {
  const flat = csv(['I', 'II', 'V1'], 10, 250, () => 0)
  const query = 'rateHz=250&unit=mV&format=csv'
  const taken = await fetch(`${apiUrl}/v1/ecgs?${query}`, { method: 'POST', body: new Uint8Array(flat) })
  const { ecgId } = await taken.json()
  const refused = async () => (await (await fetch(`${apiUrl}/v1/ecgs?limit=100&status=refused`)).json()).items
  await expect
    .poll(async () => (await refused()).some((item: { ecgId: string }) => item.ecgId === ecgId), { timeout: 60_000 })
    .toBe(true)
  return ecgId
}

const VIEWS = [
  'worklist',
  'nothing matches',
  'live',
  'one device',
  'operations',
  'runbook',
  'ECG',
  'refused',
  'unknown',
  'sign-in',
] as const

export function views(on: () => OnStack): void {
  it.each(VIEWS)(
    'meets WCAG 2.2 AA in both themes and its own policy, and loads nothing from elsewhere: %s',
    async (view) => {
      const { page, go, ecgId, stack, opened } = on()
      const [hash, seen] = {
        worklist: ['#/', '.row'],
        'nothing matches': ['#/', '.row'],
        live: ['#/live', '.tile'],
        'one device': [`#/live/${await aDevice(stack.apiUrl)}`, '.leads figure'],
        operations: ['#/operations', '.figures'],
        runbook: ['#/operations/dlq-depth', '.runbook p'],
        ECG: [`#/ecg/${ecgId}`, '.finding'],
        refused: [view === 'refused' ? `#/ecg/${await refusedEcg(stack.apiUrl)}` : '', '.refused-box'],
        unknown: ['#/ecg/00000000-0000-5000-8000-000000000000', '.state'],
        'sign-in': ['#/', '.gate button'],
      }[view]
      await go(hash!)
      if (view === 'sign-in') {
        const identity = { issuer: stack.apiUrl, clientId: 'console', audience: 'a', scope: 'openid', idleMinutes: 10 }
        await page.route('**/console.json', (route) => route.fulfill({ json: { identity } }))
        await page.reload()
      }
      await page.locator(seen!).first().waitFor()
      if (view === 'nothing matches') {
        await page.locator('.filters input[type=search]').fill('no-such-device')
        await page.locator('.worklist > .state').waitFor()
      }

      expect(await breaches(page, WCAG)).toEqual([])
      await page.getByRole('button', { name: 'Light or dark' }).click()
      expect(await breaches(page, ['color-contrast'])).toEqual([])
      await page.getByRole('button', { name: 'Light or dark' }).click()
      if (view === 'nothing matches') await page.getByRole('button', { name: 'Clear filters' }).first().click()
      await page.unrouteAll({ behavior: 'wait' })
      if (view === 'sign-in') await page.reload()
      expect(opened.complaints).toEqual([])
      expect(opened.foreign).toEqual([])
    },
  )

  it('filters the worklist by condition, quality and time like the API', async () => {
    const { page, go, stack } = on()
    const stem = resolve(SAMPLES, 'old-infarct')
    await screened(stack.apiUrl, [`${stem}.hea`, `${stem}.dat`])
    await refusedEcg(stack.apiUrl)
    await go('#/')
    await page.locator('.row').first().waitFor()
    const shown = () =>
      page.locator('.row').evaluateAll((all) => all.map((row) => row.getAttribute('data-ecg')).toSorted())
    const wanted = async (query: string) => {
      const { items } = await (await fetch(`${stack.apiUrl}/v1/ecgs?limit=100&${query}`)).json()
      return items.map(({ ecgId }: { ecgId: string }) => ecgId).toSorted()
    }
    const [condition, verdict] = [page.locator('.filters select').first(), page.locator('.filters select').nth(1)]
    const day = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
    const [from, to] = [
      page.locator('.filters input[type=date]').first(),
      page.locator('.filters input[type=date]').nth(1),
    ]

    await condition.selectOption('cad')
    const flagged = await wanted('flagged=cad')
    expect(flagged.length).toBeGreaterThan(0)
    await expect.poll(shown, { timeout: 20_000 }).toEqual(flagged)

    await condition.selectOption('')
    await verdict.selectOption('refused')
    const refused = await wanted('status=refused')
    expect(refused.length).toBeGreaterThan(0)
    await expect.poll(shown, { timeout: 20_000 }).toEqual(refused)

    await verdict.selectOption('')
    await to.fill('1980-01-01')
    await page.getByText('No ECG matches').waitFor()
    await to.fill(day(0))
    await from.fill(day(0))
    await page.locator('.row').first().waitFor()
    await from.fill(day(1))
    await page.getByText('No ECG matches').waitFor()
    await page.getByRole('button', { name: 'Clear filters' }).first().click()
    await page.locator('.row').first().waitFor()
    // Times are the reader's; UTC is in the hint.
    await page.locator('.row .when').first().hover()
    expect(await page.locator('.row .when').first().getAttribute('title')).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
    )
  })

  it('never shows a range of virtual people like a published one', async () => {
    const { page, go, ecgId } = on()
    const open = async (person: object) => {
      await page.route(`**/v1/ecgs/${ecgId}/subject`, (route) => route.fulfill({ json: { source: 'upload', person } }))
      await go(`#/ecg/${ecgId}`)
      await page.reload()
      await page.locator('[data-index=lvEdv] .range').nth(1).waitFor()
      await page.locator('[data-group=la] summary').click()
      const fills = (of: string) =>
        page
          .locator(`[data-index=${of}] svg rect`)
          .first()
          .evaluate((rect) => {
            const { fill, strokeDasharray } = getComputedStyle(rect)
            return [rect.getAttribute('class'), fill === 'none', strokeDasharray !== 'none']
          })
      const seen = { lvEdv: await fills('lvEdv'), laMaxVolume: await fills('laMaxVolume') }
      const said = await page.locator('[data-index=laMaxVolume] .range').nth(1).textContent()
      const legend = (await page.locator('[data-virtual]').textContent())!
      await page.unrouteAll({ behavior: 'wait' })
      return { ...seen, said, legend }
    }

    const known = await open({ sex: 'female', ageYears: 60 })
    const unknown = await open({})

    expect(known.lvEdv).toEqual(['normal', false, false])
    expect(known.laMaxVolume).toEqual(['virtual', true, true])
    expect(known.said).toMatch(/^virtual .* \(healthy virtual people, not patients\)$/)
    expect(known.legend).toContain('of the same sex, 60 to 69 years')
    expect(unknown.lvEdv).toEqual(['virtual', true, true])
    expect(unknown.legend).toContain('because sex or age is not known')
  })

  it('distinguishes live, late and silent devices, and shows one on the full screen', async () => {
    const { page, go } = on()
    await page.route('**/v1/ecgs?limit=100', async (route) => {
      const { items } = await (await route.fetch()).json()
      const ages = { 'is-live': 5, 'is-late': 70, 'is-silent': 600 }
      const made = Object.entries(ages).map(([device, s]) => {
        const at = new Date(Date.now() - 1000 * s).toISOString()
        return { ...items[0], device, startedAt: at, arrivedAt: at }
      })
      await route.fulfill({ json: { items: made } })
    })
    // The list of devices is kept while the page lives.
    await go('#/live')
    await page.reload()

    const tile = (device: string) => page.locator(`[data-device="${device}"]`)
    await tile('is-silent').waitFor()
    expect(await tile('is-live').getAttribute('data-pulse')).toBe('live')
    expect(await tile('is-late').textContent()).toContain('late: 1 min. ago')
    expect(await tile('is-silent').textContent()).toContain('silent: 10 min. ago')
    const border = (device: string) => tile(device).evaluate((element) => getComputedStyle(element).borderTopStyle)
    expect(await Promise.all(['is-live', 'is-late', 'is-silent'].map(border))).toEqual(['solid', 'dashed', 'dashed'])
    expect(await page.locator('.live-sum').textContent()).toContain('1 of 3')

    await tile('is-late').click()
    await page.getByRole('button', { name: 'Full screen' }).click()
    await page.waitForFunction(() => document.fullscreenElement?.matches('.live.single'))
    expect(await page.locator('.leads figure').count()).toBe(12)
    await page.evaluate(() => document.exitFullscreen())
    await page.unrouteAll({ behavior: 'wait' })
    await page.reload()
  })

  it('shows no animation for readers who prefer reduced motion: a tile shows its whole window at once', async () => {
    const { stack } = on()
    const { page } = await openPage(stack.apiUrl, { reducedMotion: 'reduce' })
    await page.goto(`${stack.apiUrl}/#/live/${await aDevice(stack.apiUrl)}`)
    const lead = page.locator('.leads .sweep').nth(1)
    await lead.waitFor()
    const right = async () => {
      const { x, y, width, height } = (await lead.boundingBox())!
      const clip = { x: x + 0.8 * width, y, width: 0.15 * width, height }
      return (await page.screenshot({ clip })).length
    }
    // A sweep would need eight seconds to come here; without a trace, the picture has some 300 bytes.
    await expect.poll(right, { timeout: 7_000, interval: 100 }).toBeGreaterThan(1000)
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0)
    await page.context().close()
  })

  it('shows predictive values when the site gave its prevalence', async () => {
    const { page, go, ecgId } = on()
    await page.route(`**/v1/ecgs/${ecgId}`, async (route) => {
      const result = await (await route.fetch()).json()
      const predictiveValue = { positive: 0.21, negative: 0.994, prevalence: 0.03 }
      const findings = result.findings.map((finding: { withheld?: object }, i: number) => {
        const { withheld: _, ...rest } = finding
        return i < 2 ? { ...rest, flagged: i === 0, borderline: false, predictiveValue } : finding
      })
      await route.fulfill({ json: { ...result, findings } })
    })
    await go(`#/ecg/${ecgId}`)
    await page.reload()

    await page.locator('.finding').first().waitFor()
    const said = await page.locator('.finding').allTextContents()
    expect(said[0]).toContain('Of those flagged, 21% have it, where 3.0% of all do.')
    expect(said[1]).toContain('Of those not flagged, 99% do not have it, where 3.0% of all do.')
    expect(said[2]).not.toContain('Of those')
    await page.unrouteAll({ behavior: 'wait' })
    await page.reload()
  })
}
