/**
 * Current view, from the address after `#`, which never reaches a server's log.
 * @module
 */
import { computed, signal } from '@preact/signals'

export type Route =
  | { readonly view: 'worklist' }
  | { readonly view: 'ecg'; readonly id: string; readonly beside?: string }
  | { readonly view: 'live'; readonly device?: string }
  | { readonly view: 'operations'; readonly section?: string }

const hash = signal(location.hash)
addEventListener('hashchange', () => {
  hash.value = location.hash
})

export const route = computed<Route>(() => parse(hash.value))

function parse(address: string): Route {
  const [path = '', query = ''] = address.replace(/^#?\/?/, '').split('?')
  const [view, argument] = path.split('/').map(decode)
  const beside = new URLSearchParams(query).get('beside')
  if (view === 'ecg' && argument) return { view, id: argument, ...(beside === null ? {} : { beside }) }
  if (view === 'live') return argument ? { view, device: argument } : { view }
  if (view === 'operations') return argument ? { view, section: argument } : { view }
  return { view: 'worklist' }
}

export function href(to: Route): string {
  if (to.view === 'ecg') return `#/ecg/${to.id}${to.beside === undefined ? '' : `?beside=${to.beside}`}`
  if (to.view === 'live') return to.device === undefined ? '#/live' : `#/live/${encodeURIComponent(to.device)}`
  if (to.view === 'operations') {
    return to.section === undefined ? '#/operations' : `#/operations/${encodeURIComponent(to.section)}`
  }
  return '#/'
}

export function go(to: Route): void {
  location.hash = href(to)
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ''
  }
}
