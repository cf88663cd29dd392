import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildConsole } from '../../cdk/local/console-build.ts'
import { freePort } from '../../cdk/local/free-port.ts'
import { remoteKeys, tokenAuthenticator } from '../../functions/api/auth.ts'
import { withConsole } from '../../functions/api/console.ts'
import { type RunningServer, serve } from '../../functions/api/server.ts'
import { startTestApi, type TestApi } from '../functions/api/helpers.ts'
import { hasBrowser, NO_BROWSER, openPage } from './helpers/browser.ts'
import { AUDIENCE, CLIENT_ID, startProvider, type TestProvider } from './helpers/identity-provider.ts'

/** So short that the page must renew its token before its first request. */
const ACCESS_S = 12

describe.skipIf(!hasBrowser)(`signing in to the console${NO_BROWSER}`, { timeout: 120_000 }, () => {
  let provider: TestProvider
  let api: TestApi
  let server: RunningServer

  beforeAll(async () => {
    const [folder, port] = [await buildConsole(), await freePort()]
    const origin = `http://127.0.0.1:${port}`
    provider = await startProvider(`${origin}/`, ACCESS_S)
    const tenants = new Set(['clinic'])
    const keys = remoteKeys(new URL(provider.jwksUrl))
    api = await startTestApi({
      authenticate: tokenAuthenticator({
        issuer: provider.issuer,
        audience: AUDIENCE,
        tenantClaim: 'tenant',
        tenants,
        keys,
      }),
      signIn: {
        issuer: provider.issuer,
        clientId: CLIENT_ID,
        audience: AUDIENCE,
        scope: 'openid offline_access ecg:read ecg:write',
        idleMinutes: 10,
      },
    })
    const fetch = withConsole(api.app.fetch, folder, [provider.issuer])
    server = await serve({ fetch }, { port, host: '127.0.0.1' })
  }, 240_000)
  afterAll(async () => {
    await server?.close()
    await api?.stop()
    await provider?.stop()
  })

  async function signIn(page: Page, login: string): Promise<void> {
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.locator('input[name=login]').fill(login)
    await page.locator('input[name=password]').fill('of no use')
    await page.getByRole('button', { name: 'Sign-in' }).click()
    await page.getByRole('button', { name: 'Continue' }).click()
  }

  it('returns from the provider to the same page, and renews the token, which stays in memory', async () => {
    const { ecgId } = await api.screened('clinic', {}, { kind: 'mqtt', device: 'ward-3', session: 's' })
    const { page, complaints } = await openPage(server.url)
    const tokens: string[] = []
    page.on('request', (request) => {
      const { authorization } = request.headers()
      if (authorization !== undefined) tokens.push(authorization)
    })
    await page.goto(`${server.url}/#/live`)

    await signIn(page, 'jane')

    await page.locator('[data-device="ward-3"]').waitFor()
    expect(new URL(page.url()).search).toBe('')
    expect(new URL(page.url()).hash).toBe('#/live')
    expect(await page.locator('.account .name').textContent()).toBe('jane')
    // What the token does not allow is not offered.
    await page.goto(`${server.url}/#/ecg/${ecgId}`)
    await page.locator('.finding').first().waitFor()
    expect(await page.getByRole('button', { name: 'Draw cines' }).count()).toBe(0)
    // These seconds are less than the margin, so each request had a token of its own.
    expect(new Set(tokens).size).toBeGreaterThan(1)
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
    )
    expect(kept).not.toMatch(/eyJ|verifier/)
    expect(complaints).toEqual([])

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL((url) => url.origin === provider.issuer)
    await page.context().close()
  })

  it('renews a token that expires during a stream, and reports the end of the sign-in if the provider refuses', async () => {
    const { page } = await openPage(server.url)
    const streams: string[] = []
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/events')) streams.push(request.headers().authorization!)
    })
    await page.goto(server.url)
    await signIn(page, 'jill')
    await page.locator('.feed-live').waitFor()

    // The API ends a stream with its token.
    await expect.poll(() => new Set(streams).size, { timeout: 3000 * ACCESS_S }).toBeGreaterThan(1)
    await api.screened('clinic', {}, { kind: 'mqtt', device: 'after-renewal', session: 's' })
    await page.locator('.row', { hasText: 'after-renewal' }).waitFor()

    // A token that the API calls expired before we do is renewed, too.
    const problem = {
      status: 401,
      contentType: 'application/problem+json',
      body: '{"code":"token-invalid","status":401}',
    }
    await page.route('**/v1/ecgs?*', (route) => route.fulfill(problem), { times: 1 })
    await page.locator('.filters select').last().selectOption('screened')
    await page.locator('.row', { hasText: 'after-renewal' }).waitFor()

    await page.route(`${provider.issuer}/token`, (route) => {
      const headers = { 'access-control-allow-origin': '*' }
      return route.fulfill({ status: 400, headers, json: { error: 'invalid_grant' } })
    })
    await page.getByText('Your sign-in has ended').waitFor({ timeout: 3000 * ACCESS_S })
    expect(await page.locator('.row').count()).toBe(0)
    await page.context().close()
  })

  it('reports the provider’s refusal, and shows no ECG without a sign-in', async () => {
    const { page } = await openPage(server.url)

    await page.goto(`${server.url}/?error=access_denied&state=stolen`)

    await page.getByText('The sign-in was not completed').waitFor()
    expect(await page.locator('.row').count()).toBe(0)
    expect(new URL(page.url()).search).toBe('')
    await page.context().close()
  })

  it('locks after the site’s idle time and discards what it showed', async () => {
    const { page } = await openPage(server.url)
    await page.clock.install()
    await page.goto(server.url)
    await signIn(page, 'joe')
    await page.locator('.row').first().waitFor()

    await page.clock.fastForward('11:00')

    await page.getByText('Locked').first().waitFor()
    expect(await page.locator('.row').count()).toBe(0)
    await page.context().close()
  })
})
