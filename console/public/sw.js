/*
 * Keeps the page itself, so that it opens without a network and says that the API is away. It keeps nothing of the API: neither ECGs nor results.
 *
 * The page is asked for anew each time, and kept for when nobody answers. Files below /assets/ are named by their content and never change; those
 * that the newest page does not name go.
 */
const KEPT = 'console'
const PAGE = '/'

self.addEventListener('install', () => self.skipWaiting())
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('fetch', (event) => {
  const { request } = event
  const { origin, pathname } = new URL(request.url)
  if (request.method !== 'GET' || origin !== self.location.origin) return
  if (request.mode === 'navigate' && pathname === PAGE) event.respondWith(newestPage(request))
  else if (pathname.startsWith('/assets/')) event.respondWith(asset(request))
})

async function newestPage(request) {
  const cache = await caches.open(KEPT)
  const kept = await cache.match(PAGE)
  try {
    const response = await fetch(request)
    if (!response.ok || response.redirected) return response
    const page = await response.clone().text()
    if (page !== (await kept?.clone().text())) {
      await cache.put(PAGE, response.clone())
      await forget(cache, page)
    }
    return response
  } catch (error) {
    if (kept === undefined) throw error
    return kept
  }
}

async function asset(request) {
  const cache = await caches.open(KEPT)
  const kept = await cache.match(request)
  if (kept !== undefined) return kept
  const response = await fetch(request)
  if (response.ok) await cache.put(request, response.clone())
  return response
}

/** What is loaded later on (a worker, the runbook) is named by no page: it is fetched again once after an update. */
async function forget(cache, page) {
  const assets = (await cache.keys()).map(({ url }) => new URL(url).pathname).filter((path) => path !== PAGE)
  await Promise.all(assets.filter((path) => !page.includes(path)).map((path) => cache.delete(path)))
}
