/** Cines of an ECG that was open before: what the API lists is shown again. A list stands in for jobs that no test wants to wait for. */
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import type { OnStack } from './on-stack.ts'

const FIRST = Date.parse('2026-01-01T08:00:00Z')

/** A job as the API tells it; a later seed was requested later. */
export const job = (ecgId: string, seed: number, of: object = { status: 'done', artifacts: [] }) => ({
  jobId: `00000000-0000-5000-8000-${String(seed).padStart(12, '0')}`,
  ecgId,
  version: 1,
  seed,
  sampler: 'distilled',
  submittedAt: new Date(FIRST + seed * 60_000).toISOString(),
  updatedAt: new Date(FIRST + seed * 60_000).toISOString(),
  synthetic: true,
  notice: '',
  ...of,
})

type Job = ReturnType<typeof job>

/** Answers for the list of jobs, newest first, and for each of them. */
async function answerWith(page: Page, jobs: readonly Job[]): Promise<void> {
  const newest = jobs.toSorted((a, b) => Date.parse(b.submittedAt) - Date.parse(a.submittedAt))
  await page.route('**/v1/ecgs/*/cmr', (route) =>
    route.request().method() === 'GET' ? route.fulfill({ json: { items: newest } }) : route.continue(),
  )
  await page.route('**/v1/cmr/*', (route) => {
    const asked = jobs.find(({ jobId }) => route.request().url().endsWith(jobId))
    return route.fulfill(asked === undefined ? { status: 404, json: { code: 'not-found' } } : { json: asked })
  })
}

export function cines(on: () => OnStack): void {
  const open = async (page: Page, go: OnStack['go'], ecgId: string) => {
    await go(`#/ecg/${ecgId}`)
    await page.reload()
    await page.locator('.cines header button').waitFor()
  }
  const shown = (page: Page) => page.locator('.job header b').allTextContents()
  const seeds = (page: Page) => page.locator('.seeds button')

  it('shows the steps of a drawing that was requested before the ECG was opened, and then its end', async () => {
    const { page, go, ecgId } = on()
    await answerWith(page, [job(ecgId, 0), job(ecgId, 1, { status: 'running', step: 3, steps: 8 })])

    await open(page, go, ecgId)

    await page.getByText('Step 3 of 8').waitFor()
    expect(await shown(page)).toEqual(['Seed 1'])
    expect(await seeds(page).allTextContents()).toEqual(['Seed 0 ', 'Seed 1 Drawing'])
    await page.unrouteAll({ behavior: 'wait' })
    await answerWith(page, [job(ecgId, 0), job(ecgId, 1)])
    await page.locator('.job[data-status=done]').waitFor()
    expect(await shown(page)).toEqual(['Seed 1'])
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('shows the newest drawing, and the others at the press of a button, at most four side by side', async () => {
    const { page, go, ecgId } = on()
    const failed = job(ecgId, 6, { status: 'failed', reason: 'worker-lost' })
    await answerWith(page, [...[0, 1, 2, 3, 4, 5].map((seed) => job(ecgId, seed)), failed])
    await open(page, go, ecgId)
    await expect.poll(() => shown(page), { timeout: 20_000 }).toEqual(['Seed 5'])

    expect(await page.locator('.cines header button').textContent()).toBe('Draw another (seed 7)')
    await seeds(page).nth(6).click()
    await page.locator('.job[data-status=failed] button').waitFor()
    for (const seed of [0, 2]) await seeds(page).nth(seed).click()

    expect(await shown(page)).toEqual(['Seed 0', 'Seed 2', 'Seed 5', 'Seed 6'])
    expect(await seeds(page).nth(1).isDisabled()).toBe(true)
    expect(await page.locator('.cines header button').count()).toBe(0)
    await seeds(page).nth(6).click()
    expect(await shown(page)).toEqual(['Seed 0', 'Seed 2', 'Seed 5'])
    expect(await seeds(page).nth(1).isDisabled()).toBe(false)
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('tells two drawings of one seed apart, of another sampler or bundle', async () => {
    const { page, go, ecgId } = on()
    const [old, recent] = [job(ecgId, 0), { ...job(ecgId, 1), seed: 0 }]
    await answerWith(page, [old, recent])

    await open(page, go, ecgId)

    await seeds(page).first().waitFor()
    const texts = await seeds(page).allTextContents()
    expect(new Set(texts).size).toBe(2)
    expect(texts[0]).toContain('08:00')
    expect(await page.locator('.job time').getAttribute('datetime')).toBe(recent.submittedAt)
    await page.unrouteAll({ behavior: 'wait' })
  })

  it('says that the list did not come, and still draws', async () => {
    const { page, go, ecgId } = on()
    const problem = { code: 'unavailable', status: 503 }
    await page.route('**/v1/ecgs/*/cmr', (route) =>
      route.request().method() === 'GET'
        ? route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify(problem) })
        : route.fulfill({ status: 202, json: job(ecgId, 0) }),
    )
    await open(page, go, ecgId)
    await page.locator('.cines .refusal', { hasText: 'not ready' }).waitFor()

    await page.getByRole('button', { name: 'Draw cines' }).click()

    await page.locator('.job[data-status=done]').waitFor()
    expect(await page.locator('.cines .refusal').count()).toBe(0)
    await page.unrouteAll({ behavior: 'wait' })
  })
}
