/**
 * Light or dark theme, from the system or the user's choice.
 * @module
 */
import { effect, signal } from '@preact/signals'

export type Theme = 'light' | 'dark'

const KEY = 'cardiacnets.theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const kept = localStorage.getItem(KEY)

export const theme = signal<Theme>(kept === 'dark' || kept === 'light' ? kept : system.matches ? 'dark' : 'light')

system.addEventListener('change', ({ matches }) => {
  if (localStorage.getItem(KEY) === null) theme.value = matches ? 'dark' : 'light'
})

export function toggleTheme(): void {
  theme.value = theme.peek() === 'dark' ? 'light' : 'dark'
  localStorage.setItem(KEY, theme.peek())
}

// The style sheet reads it, so it is set before anything is drawn.
effect(() => {
  document.documentElement.dataset.theme = theme.value
})
